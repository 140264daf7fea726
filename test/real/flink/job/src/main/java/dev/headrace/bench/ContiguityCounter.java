package dev.headrace.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts the records, and every number that a lane skipped or sent twice.
 *
 * <p>The sums are state like everything else, so a fault that was seen once is never forgotten. Each snapshot adds a line to a file
 * of the subtask; the lines of all subtasks for one checkpoint are what the whole job had counted at exactly that point.
 */
final class ContiguityCounter extends KeyedProcessFunction<Integer, Tuple2<Integer, Long>, Long>
        implements CheckpointedFunction {
    private static final long serialVersionUID = 1;
    private static final long CONTROL_INTERVAL = TimeUnit.MILLISECONDS.toNanos(100);

    private final Options options;

    private transient ValueState<Long> expected;
    private transient ListState<long[]> sums;
    private transient long counted;
    private transient long gaps;
    private transient long repeats;
    private transient long restored;
    private transient long restoredFrom;
    private transient long lastControl;

    ContiguityCounter(Options options) {
        this.options = options;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        sums = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("sums", PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO));
        for (long[] part : sums.get()) {
            counted += part[0];
            gaps += part[1];
            repeats += part[2];
        }
        restored = counted;
        restoredFrom = context.getRestoredCheckpointId().orElse(-1);
        expected = context.getKeyedStateStore().getState(new ValueStateDescriptor<>("expected", Types.LONG));
    }

    @Override
    public void open(OpenContext context) {
        if (options.isSet("fail-at-start")) {
            throw new IllegalStateException("told to fail at the start (--fail-at-start)");
        }
        if (isTold("fail-at-start")) {
            throw new IllegalStateException("told to fail at the start (--control)");
        }
    }

    @Override
    public void processElement(Tuple2<Integer, Long> numbered, Context context, Collector<Long> out) throws Exception {
        failIfTold();
        long number = numbered.f1;
        long next = expected.value() == null ? 0 : expected.value();
        gaps += Math.max(0, number - next);
        repeats += number < next ? 1 : 0;
        counted++;
        expected.update(Math.max(next, number + 1));
        out.collect(number);
    }

    private void failIfTold() {
        if (System.nanoTime() - lastControl < CONTROL_INTERVAL) {
            return;
        }
        lastControl = System.nanoTime();
        if (isTold("fail")) {
            throw new IllegalStateException("told to fail (--control)");
        }
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        Thread.sleep(options.number("slow-snapshots", 0));
        if (isTold("fail-snapshots")) {
            throw new IllegalStateException("told to fail its snapshots (--control)");
        }
        sums.update(List.of(new long[] {counted, gaps, repeats}));
        if (options.isSet("output")) {
            report(Path.of(options.text("output", "")), context.getCheckpointId());
        }
    }

    private boolean isTold(String fault) {
        return options.isSet("control") && Files.exists(Path.of(options.text("control", ""), fault));
    }

    private void report(Path output, long checkpoint) throws IOException {
        TaskInfo task = getRuntimeContext().getTaskInfo();
        Path folder = Files.createDirectories(output.resolve(getRuntimeContext().getJobInfo().getJobId().toString()));
        Path file = folder.resolve(task.getIndexOfThisSubtask() + "-" + task.getAttemptNumber() + ".jsonl");
        String line = String.format(
                "{\"checkpoint\":%d,\"subtask\":%d,\"attempt\":%d,\"parallelism\":%d,\"restoredFrom\":%d,"
                        + "\"restored\":%d,\"counted\":%d,\"gaps\":%d,\"repeats\":%d}%n",
                checkpoint, task.getIndexOfThisSubtask(), task.getAttemptNumber(), task.getNumberOfParallelSubtasks(),
                restoredFrom, restored, counted, gaps, repeats);
        Files.write(file, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}
