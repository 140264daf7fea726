// Snapshots come as one JSON value, as an array of them, line by line, or simply one after the other. A file of a gigabyte
// is never in memory as a whole: its bytes pass by, and each top-level value is parsed when its last byte has come. Structure
// is looked for in bytes, not in characters: in UTF-8 no byte of a longer character looks like a bracket or a quote.

import { TerminalError } from '../errors.ts';
import { findFault } from './json-fault.ts';

/** Where something is in the input. */
interface Position {
  /** From 0. */
  readonly byte: number;
  /** From 1. */
  readonly line: number;
}

/** The input is no JSON, or holds a value that is too large to be a snapshot. The message says where. */
export class MalformedInputError extends TerminalError {
  override readonly name = 'MalformedInputError';

  constructor(fault: string, { byte, line }: Position, options?: ErrorOptions) {
    super(`${fault} at byte ${byte} (line ${line})`, options);
  }
}

export interface SplitOptions {
  /** Of one value, in bytes; default 256 MiB. JavaScript holds no string longer than 512 MiB. */
  readonly maxValueBytes?: number;
}

const MAX_VALUE_BYTES = 256 * 2 ** 20;
/** An API object has about ten levels; code that descends into a value must not run out of stack. */
const MAX_DEPTH = 1000;

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** What may come next where no value is open: anything, or what an array of values allows there. */
type Expected = 'any' | 'first-item-or-end' | 'item' | 'separator-or-end';

const WANTED: Record<Expected, string> = {
  any: 'a JSON value must begin here, but there is',
  'first-item-or-end': 'a JSON value or "]" must stand here, but there is',
  item: 'a JSON value must stand here, but there is',
  'separator-or-end': '"," or "]" must stand here, but there is',
};

/** Splits bytes into the JSON values at the top, and into the items of an array at the top. */
export class JsonSplitter {
  readonly #maxValueBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Of the next byte. */
  #byte = 0;
  #line = 1;
  #expected: Expected = 'any';
  #hasSeenValue = false;
  /** The value that is open. */
  #beginning: Position | undefined;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #isScalar = false;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor({ maxValueBytes = MAX_VALUE_BYTES }: SplitOptions = {}) {
    this.#maxValueBytes = maxValueBytes;
  }

  /**
   * Takes the next bytes, however they were cut, and gives the values that end in them.
   *
   * @throws MalformedInputError
   */
  *push(chunk: Uint8Array): Generator<unknown> {
    let index = 0;
    while (index < chunk.length) {
      if (this.#beginning === undefined) {
        index = this.#findBeginning(chunk, index);
        if (index === chunk.length) return;
        this.#open(chunk[index] as number);
      }
      const end = this.#isScalar ? this.#findScalarEnd(chunk, index) : this.#findEnd(chunk, index);
      this.#keep(chunk.subarray(index, end ?? chunk.length));
      if (end === undefined) return;
      yield this.#close();
      index = end;
    }
  }

  /**
   * Says that no more bytes come, and gives the number or word that they ended.
   *
   * @throws MalformedInputError when a value is still open, or there was none at all
   */
  *end(): Generator<unknown> {
    if (this.#beginning !== undefined && !this.#isScalar)
      throw new MalformedInputError('the input ends in the middle of a value that began', this.#beginning);
    if (this.#beginning !== undefined) yield this.#close();
    if (this.#expected !== 'any') throw this.#fault('the input ends in the middle of an array');
    if (!this.#hasSeenValue) throw this.#fault('there is no JSON value: the input ends');
  }

  /** Passes over what may stand between values. @returns the index of the first byte of one, or the chunk's length */
  #findBeginning(chunk: Uint8Array, from: number): number {
    for (let index = from; index < chunk.length; index += 1, this.#byte += 1) {
      const byte = chunk[index] as number;
      if (byte === NEWLINE) this.#line += 1;
      else if (isSpace(byte) || byte === BYTE_ORDER_MARK[this.#byte]) continue;
      else if (byte === COMMA && this.#expected === 'separator-or-end') this.#expected = 'item';
      else if (
        byte === CLOSE_BRACKET &&
        (this.#expected === 'separator-or-end' || this.#expected === 'first-item-or-end')
      )
        this.#expected = 'any';
      else if (byte === OPEN_BRACKET && this.#expected === 'any') {
        this.#expected = 'first-item-or-end';
        this.#hasSeenValue = true;
      } else if (this.#expected === 'separator-or-end' || isDelimiter(byte))
        throw this.#fault(`${WANTED[this.#expected]} ${describeByte(byte)}`);
      else return index;
    }
    return chunk.length;
  }

  #open(byte: number): void {
    this.#beginning = { byte: this.#byte, line: this.#line };
    this.#isScalar = byte !== OPEN_BRACE && byte !== OPEN_BRACKET && byte !== QUOTE;
    this.#depth = 0;
    this.#isInString = false;
    this.#isEscaped = false;
  }

  /** @returns the index after the last byte of the object, array or string that is open; undefined when it is not in the chunk */
  #findEnd(chunk: Uint8Array, from: number): number | undefined {
    for (let index = from; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) {
          this.#isInString = false;
          if (this.#depth === 0) return index + 1;
        }
      } else if (byte === QUOTE) this.#isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#depth += 1;
        if (this.#depth > MAX_DEPTH) throw this.#tooMuch(`is nested more than ${MAX_DEPTH} deep`);
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth -= 1;
        if (this.#depth === 0) return index + 1;
      } else if (byte === NEWLINE) this.#line += 1;
    }
    return undefined;
  }

  /** A number or a word ends where something else begins. */
  #findScalarEnd(chunk: Uint8Array, from: number): number | undefined {
    for (let index = from; index < chunk.length; index += 1) {
      const byte = chunk[index] as number;
      if (isSpace(byte) || byte === NEWLINE || isDelimiter(byte) || isOpening(byte)) return index;
    }
    return undefined;
  }

  #keep(piece: Uint8Array): void {
    this.#size += piece.length;
    this.#byte += piece.length;
    if (this.#size > this.#maxValueBytes)
      throw this.#tooMuch(`has more than ${this.#maxValueBytes} bytes: it is no snapshot that can be judged`);
    this.#pieces.push(piece);
  }

  #close(): unknown {
    const beginning = this.#beginning as Position;
    const value = this.#parse(this.#join(), beginning);
    this.#beginning = undefined;
    this.#pieces = [];
    this.#size = 0;
    this.#hasSeenValue = true;
    if (this.#expected !== 'any') this.#expected = 'separator-or-end';
    return value;
  }

  #join(): Uint8Array {
    const [first, ...others] = this.#pieces;
    if (first !== undefined && others.length === 0) return first;
    const joined = new Uint8Array(this.#size);
    let offset = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, offset);
      offset += piece.length;
    }
    return joined;
  }

  #parse(bytes: Uint8Array, beginning: Position): unknown {
    const text = this.#decode(bytes, beginning);
    try {
      return JSON.parse(text);
    } catch (cause) {
      const before = text.slice(0, findFault(text));
      const line = beginning.line + before.split('\n').length - 1;
      const byte = beginning.byte + new TextEncoder().encode(before).length;
      const seen = text.slice(before.length, before.length + 20);
      throw new MalformedInputError(`this is no JSON: ${JSON.stringify(seen)}`, { byte, line }, { cause });
    }
  }

  #decode(bytes: Uint8Array, beginning: Position): string {
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw new MalformedInputError('this is not UTF-8: a value that began', beginning, { cause });
    }
  }

  #fault(fault: string): MalformedInputError {
    return new MalformedInputError(fault, { byte: this.#byte, line: this.#line });
  }

  #tooMuch(fault: string): MalformedInputError {
    return new MalformedInputError(`a value ${fault}; it began`, this.#beginning as Position);
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

/** "," ":" "]" "}": they never begin a value. */
function isDelimiter(byte: number): boolean {
  return byte === COMMA || byte === 0x3a || byte === CLOSE_BRACKET || byte === CLOSE_BRACE;
}

function isOpening(byte: number): boolean {
  return byte === QUOTE || byte === OPEN_BRACKET || byte === OPEN_BRACE;
}

function describeByte(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? JSON.stringify(String.fromCharCode(byte))
    : `0x${byte.toString(16).padStart(2, '0')}`;
}
