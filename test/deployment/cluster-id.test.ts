import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newClusterId } from '../../shared/deployment/cluster-id.ts';
import { anApplication, NEW } from './scenes.ts';

describe('newClusterId', () => {
  it('is the name, the hash, and six characters of the incarnation', () => {
    expect(newClusterId(anApplication(), NEW)).toMatch(/^orders-1b1b1b1b-[a-z0-9]{6}$/);
  });

  it('is another one for each version of an application, and for one that was made anew', () => {
    const ids = [anApplication(), anApplication({ resourceVersion: '8' }), anApplication({ uid: 'uid-2' })].map(
      (application) => newClusterId(application, NEW),
    );

    expect(new Set(ids).size).toBe(3);
  });

  it('is the value of a label for every name that an application may have', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]([a-z0-9-]{0,52}[a-z0-9])?$/), fc.nat(), (name, version) => {
        const id = newClusterId(anApplication({ name, resourceVersion: String(version) }), NEW);

        expect(id.length).toBeLessThanOrEqual(63);
        expect(id).toMatch(/^[a-z]([a-z0-9-]*[a-z0-9])?$/);
        expect(id).toContain(`-${NEW}-`);
      }),
    );
  });
});
