import { describe, expect, it } from 'vitest';
import { rootCause } from '../../shared/flink/stack-trace.ts';

const NESTED = [
  'java.util.concurrent.CompletionException: org.apache.flink.util.FlinkException: outer',
  '\tat java.base/java.util.concurrent.CompletableFuture.encodeRelay(CompletableFuture.java:368)',
  '\tSuppressed: java.lang.RuntimeException: beside the point',
  '\tCaused by: java.lang.RuntimeException: beside the point too',
  'Caused by: org.apache.flink.util.FlinkException: outer',
  '\t... 4 more',
  "Caused by: java.io.FileNotFoundException: Cannot find 'file:///nope'",
  'with a second line',
  '\t... 5 more',
].join('\n');

describe('the root cause', () => {
  it.each([
    ['of nested exceptions is the innermost', NESTED, "java.io.FileNotFoundException: Cannot find 'file:///nope'"],
    [
      'of a single exception is that one',
      'java.lang.RuntimeException: oh\n\tat A.b(A.java:1)',
      'java.lang.RuntimeException: oh',
    ],
    [
      'of one without a message is its class',
      'java.lang.NullPointerException\n\tat A.b(A.java:1)',
      'java.lang.NullPointerException',
    ],
    [
      'is found behind what Flink puts before it',
      'Internal server error.\n<Exception on server side:\njava.lang.IllegalStateException: no\n\nEnd of exception on server side>',
      'java.lang.IllegalStateException: no',
    ],
    ['of what is no trace is its first line', '\nNot found: /jobs\nmore', 'Not found: /jobs'],
    ['of nothing is empty', '', ''],
    [
      "is Flink's own verdict of a jar, where it has one",
      [
        "java.util.concurrent.CompletionException: org.apache.flink.client.program.ProgramInvocationException: Error while opening jar file 'a.jar'",
        "Caused by: org.apache.flink.client.program.ProgramInvocationException: Error while opening jar file 'a.jar'",
        'Caused by: java.util.zip.ZipException: zip END header not found',
      ].join('\n'),
      "org.apache.flink.client.program.ProgramInvocationException: Error while opening jar file 'a.jar'",
    ],
    [
      'is the cause of a main method that threw',
      [
        'org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: oh',
        'Caused by: java.lang.IllegalStateException: oh',
      ].join('\n'),
      'java.lang.IllegalStateException: oh',
    ],
  ])('%s', (_, trace, cause) => {
    expect(rootCause(trace)).toBe(cause);
  });

  it('fits into a condition', () => {
    expect(rootCause(`java.lang.RuntimeException: ${'x'.repeat(10_000)}`)).toHaveLength(500);
  });
});
