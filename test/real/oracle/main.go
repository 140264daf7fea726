// The oracle answers snapshots with the decision of the real HorizontalPodAutoscaler controller: one JSON object a line in,
// one JSON object a line out, in the same order. README.md says how.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
)

func main() {
	options := flag.NewFlagSet("oracle", flag.ExitOnError)
	showVersion := options.Bool("version", false, "print the versions of Kubernetes and Go as JSON")
	gates := options.String("feature-gates", "", "as kube-controller-manager's, such as HPAScaleToZero=false")
	_ = options.Parse(os.Args[1:])
	// What follows would take these arguments for its own.
	os.Args = os.Args[:1]

	if *showVersion {
		fmt.Printf("{\"kubernetes\":%q,\"go\":%q}\n", version.Get().GitVersion[1:], runtime.Version()[2:])
		return
	}
	if err := utilfeature.DefaultMutableFeatureGate.Set(*gates); err != nil {
		fail(err)
	}
	keepQuiet()
	// A snapshot leaves much garbage and nothing else; memory is cheaper here than collecting it early.
	debug.SetGCPercent(400)

	// A bubble of testing/synctest, in which time is what we make it, exists only inside a test: this whole program is one.
	test := testing.InternalTest{Name: "oracle", F: func(t *testing.T) {
		if err := answerAll(t, os.Stdin, os.Stdout); err != nil {
			fail(err)
		}
		// Before the end of the test is announced on standard output.
		os.Exit(0)
	}}
	testing.Main(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{test}, nil, nil)
}

// keepQuiet drops the log, and with it the pause that Kubernetes takes after each logged error: it is measured against the clock,
// which here jumps from snapshot to snapshot.
func keepQuiet() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	utilruntime.ErrorHandlers = nil
}

type question struct {
	line   []byte
	answer chan []byte
}

// answerAll spreads the lines over as many controllers as there are processors, and writes the answers in the order of the lines.
func answerAll(t *testing.T, input io.Reader, output io.Writer) error {
	workers := runtime.GOMAXPROCS(0)
	questions := make(chan question, 8*workers)
	inOrder := make(chan question, 64*workers)
	for range workers {
		controller := newController()
		go func() {
			for asked := range questions {
				asked.answer <- controller.answer(t, asked.line)
			}
		}()
	}

	var readError error
	go func() {
		readError = readLines(input, func(line []byte) {
			asked := question{line: line, answer: make(chan []byte, 1)}
			inOrder <- asked
			questions <- asked
		})
		close(questions)
		close(inOrder)
	}()

	if err := writeAnswers(inOrder, output); err != nil {
		return err
	}
	return readError
}

func readLines(input io.Reader, use func(line []byte)) error {
	reader := bufio.NewReaderSize(input, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 1 {
			use(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func writeAnswers(inOrder <-chan question, output io.Writer) error {
	writer := bufio.NewWriterSize(output, 1<<20)
	for asked := range inOrder {
		if _, err := writer.Write(append(<-asked.answer, '\n')); err != nil {
			return err
		}
		// Whoever asks one question at a time waits for its answer.
		if len(inOrder) == 0 {
			if err := writer.Flush(); err != nil {
				return err
			}
		}
	}
	return writer.Flush()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
