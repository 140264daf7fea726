"""Unpacks, out of a package apache-flink-libraries, what an image's `lib` needs: Flink itself, and its logging.

Usage: unpack.py PACKAGE FOLDER. The package is a wheel or a source distribution, as its version was published.
"""

import pathlib
import re
import shutil
import sys
import tarfile
import zipfile

WANTED = re.compile(r"/lib/((?:flink-dist-|log4j-(?:api|core|slf4j))[^/]*\.jar)$")


def members(package):
    """Yields (path inside the package, a function that opens it)."""
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                yield name, lambda name=name: archive.open(name)
    else:
        # Read as a stream, each member once: seeking back in a compressed archive means reading it again.
        with tarfile.open(package, "r|gz") as archive:
            for member in archive:
                yield member.name, lambda member=member: archive.extractfile(member)


def main(package, folder):
    pathlib.Path(folder).mkdir(parents=True)
    names = []
    for path, open_member in members(package):
        found = WANTED.search(path)
        if found is None:
            continue
        with open_member() as source, open(pathlib.Path(folder, found[1]), "wb") as target:
            shutil.copyfileobj(source, target)
        names.append(found[1])
    if not any(name.startswith("flink-dist-") for name in names):
        sys.exit(f"{package} has no flink-dist in its lib")


main(*sys.argv[1:])
