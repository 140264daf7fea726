package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"controlplane/podautoscaler"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	kjson "sigs.k8s.io/json"
)

// controller is a real HorizontalController that lives in a world of ours, a new one with every snapshot.
type controller struct {
	real    *podautoscaler.HorizontalController
	metrics metricsclient.MetricsClient
	world   *world
}

func newController() *controller {
	around := &world{}
	metrics := metricsclient.NewRESTMetricsClient(podMetrics{world: around}, customMetrics{world: around}, externalMetrics{around})
	// Never started: a snapshot's objects are read through the listers that take their place.
	caches := informers.NewSharedInformerFactory(nil, 0)
	real := podautoscaler.NewHorizontalController(
		context.Background(),
		noEvents{},
		scales{world: around},
		hpaWriter{world: around},
		mapper{},
		metrics,
		caches.Autoscaling().V2().HorizontalPodAutoscalers(),
		caches.Core().V1().Pods(),
		0, 0, 0, 0, 0,
	)
	real.OracleConnect(hpas{world: around}, pods{world: around}, recorder{around})
	return &controller{real: real, metrics: metrics, world: around}
}

// answer is what the controller made of a snapshot.
type answer struct {
	Name string `json:"name"`
	// CurrentReplicas is the last known size where the scale could not be read.
	CurrentReplicas int32 `json:"currentReplicas"`
	// DesiredReplicas is the size that was asked for, the current one where none was.
	DesiredReplicas int32       `json:"desiredReplicas"`
	Rescale         bool        `json:"rescale"`
	Conditions      []condition `json:"conditions"`
	// CurrentMetrics has a slot for every metric of the spec, with an empty type where the metric failed.
	CurrentMetrics []autoscalingv2.MetricStatus `json:"currentMetrics"`
	// Error is what the reconciliation returned.
	Error  *string `json:"error"`
	Events []event `json:"events"`
	// MetricsReason is why the size changed, or should have: the part of the event that follows "reason:".
	MetricsReason *string `json:"metricsReason"`
}

type condition struct {
	Type    autoscalingv2.HorizontalPodAutoscalerConditionType `json:"type"`
	Status  v1.ConditionStatus                                 `json:"status"`
	Reason  string                                             `json:"reason"`
	Message string                                             `json:"message"`
}

// refusal stands for an answer where there is none.
type refusal struct {
	Name        string `json:"name"`
	Unsupported string `json:"unsupported,omitempty"`
	Invalid     string `json:"invalid,omitempty"`
}

func (asked *controller) answer(t *testing.T, line []byte) []byte {
	read, err := readSnapshot(line)
	var wish unsupportedError
	switch {
	case errors.As(err, &wish):
		return encode(refusal{Name: read.Name, Unsupported: wish.Error()})
	case err != nil:
		return encode(refusal{Name: nameOf(line), Invalid: err.Error()})
	case read.Now.Before(startOfBubbles):
		return encode(refusal{Name: read.Name, Unsupported: "time begins in 2000 here"})
	}

	*asked.world = world{snapshot: read}
	var reconcileError error
	var panicked any
	synctest.Test(t, func(*testing.T) {
		defer func() { panicked = recover() }()
		asked.world.wakeAt(read.Now.Add(-time.Nanosecond))
		reconcileError = asked.real.OracleReconcile(context.Background(), read.hpa.Namespace+"/"+read.hpa.Name, read.memory, asked.metrics)
	})
	if panicked != nil {
		return encode(refusal{Name: read.Name, Unsupported: fmt.Sprintf("the real controller panics: %v", panicked)})
	}
	return encode(asked.world.outcome(reconcileError))
}

// startOfBubbles is where the clock of every bubble of testing/synctest starts.
var startOfBubbles = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

func (after *world) outcome(reconcileError error) answer {
	status := after.hpa.Status
	if after.written != nil {
		status = after.written.Status
	}
	told := answer{
		Name:            after.Name,
		CurrentReplicas: status.CurrentReplicas,
		Rescale:         after.resized,
		Conditions:      []condition{},
		CurrentMetrics:  status.CurrentMetrics,
		Events:          after.events,
		MetricsReason:   reasonForSize(after.events),
	}
	if after.Failures.Scale == "" && after.Scale != nil {
		told.CurrentReplicas = after.Scale.Spec.Replicas
	}
	told.DesiredReplicas = told.CurrentReplicas
	if after.asked != nil {
		told.DesiredReplicas = *after.asked
	}
	for _, each := range status.Conditions {
		told.Conditions = append(told.Conditions, condition{each.Type, each.Status, each.Reason, each.Message})
	}
	if told.CurrentMetrics == nil {
		told.CurrentMetrics = []autoscalingv2.MetricStatus{}
	}
	if told.Events == nil {
		told.Events = []event{}
	}
	if reconcileError != nil {
		text := reconcileError.Error()
		told.Error = &text
	}
	return told
}

var reasonInEvent = regexp.MustCompile(`^New size: -?\d+; reason: (.*?)(?:; error: .*)?$`)

func reasonForSize(events []event) *string {
	for _, each := range events {
		if match := reasonInEvent.FindStringSubmatch(each.Message); match != nil {
			return &match[1]
		}
	}
	return nil
}

// nameOf finds the name in a line that is otherwise no snapshot.
func nameOf(line []byte) string {
	var named struct {
		Name string `json:"name"`
	}
	_ = kjson.UnmarshalCaseSensitivePreserveInts(line, &named)
	return named.Name
}

func encode(value any) []byte {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return line
}
