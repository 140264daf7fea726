// Flink explains itself in Java stack traces, of which one line is worth reading.

/** Of what reaches a message or a condition. */
const MAX_CAUSE = 500;
/** "Caused by: java.io.FileNotFoundException: Cannot find …"; a frame or a suppressed exception is indented. */
const CAUSE = /^Caused by: (.+)$/;
const EXCEPTION = /^(?:[\w$]+\.)+[\w$]+(?::.*)?$/;
/** It says what is wrong with the jar, where what caused it says only what a library met. */
const PROGRAM_FAULT = /^[\w.]+\.ProgramInvocationException: (?!The main method caused an error)/;

/** The line of a stack trace that says what is wrong: the innermost cause. Not empty, unless the trace is; at most 500 characters. */
export function rootCause(trace: string): string {
  const lines = trace.split('\n').map((line) => line.trimEnd());
  const causes = lines.map((line) => CAUSE.exec(line)?.[1]).filter((cause) => cause !== undefined);
  const exceptions = lines.filter((line) => EXCEPTION.test(line));
  const cause =
    [...exceptions, ...causes].find((line) => PROGRAM_FAULT.test(line)) ??
    causes.at(-1) ??
    exceptions[0] ??
    lines.find((line) => line.trim() !== '') ??
    '';
  return cause.trim().slice(0, MAX_CAUSE);
}
