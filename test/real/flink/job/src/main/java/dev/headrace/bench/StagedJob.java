package dev.headrace.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * A bounded job in BATCH mode with two stages: the second begins when the first has ended, since what lies between them is a
 * blocking exchange. The first reads all lanes, the second writes for each lane how many numbers it had.
 */
public final class StagedJob {
    private StagedJob() {}

    public static void main(String[] args) throws Exception {
        Options options = new Options(args);
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        environment.setRuntimeMode(RuntimeExecutionMode.BATCH);
        environment
                .fromSource(new LaneSource(options), WatermarkStrategy.noWatermarks(), "lanes", Types.TUPLE(Types.INT, Types.LONG))
                .uid("lanes")
                .map(numbered -> Tuple2.of(numbered.f0, 1L))
                .returns(Types.TUPLE(Types.INT, Types.LONG))
                .keyBy(counted -> counted.f0, Types.INT)
                .reduce((a, b) -> Tuple2.of(a.f0, a.f1 + b.f1))
                .name("sums")
                .uid("sums")
                .map(new Report(options))
                .returns(Types.LONG)
                .name("report")
                .sinkTo(new DiscardingSink<>())
                .name("sink")
                .uid("sink");
        environment.execute(options.text("name", "staged-job"));
    }

    /** Appends a line for each lane to a file of the subtask: its number and how many records it had. */
    private static final class Report extends RichMapFunction<Tuple2<Integer, Long>, Long> {
        private static final long serialVersionUID = 1;

        private final Options options;

        Report(Options options) {
            this.options = options;
        }

        @Override
        public Long map(Tuple2<Integer, Long> sum) throws IOException, InterruptedException {
            Thread.sleep(options.number("pause-ms", 0));
            if (options.isSet("output")) {
                String job = getRuntimeContext().getJobInfo().getJobId().toString();
                int subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
                Path folder = Files.createDirectories(Path.of(options.text("output", "")).resolve(job));
                String line = String.format("{\"lane\":%d,\"records\":%d}%n", sum.f0, sum.f1);
                Files.write(folder.resolve(subtask + ".sums.jsonl"), line.getBytes(StandardCharsets.UTF_8),
                        StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            }
            return sum.f1;
        }
    }
}
