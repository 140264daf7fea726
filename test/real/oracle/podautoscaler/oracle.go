// This file is compiled into k8s.io/kubernetes/pkg/controller/podautoscaler by `go build -overlay`: it adds to the package, and
// changes nothing in it. It reaches what the package does not export: the controller's memory, and the reconciliation of one key.
package podautoscaler

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	consistencyutil "k8s.io/kubernetes/pkg/controller/util/consistency"
	"k8s.io/kubernetes/pkg/controller/util/selectors"
	"k8s.io/kubernetes/pkg/features"
)

// OracleEntry is a recommendation, or the size of a change, at an instant.
type OracleEntry struct {
	Replicas int32
	Time     time.Time
}

// OracleMemory is what a controller that has been running knows about one autoscaler, and the flags it was started with.
type OracleMemory struct {
	// HasRecommendations tells an empty history from none.
	HasRecommendations bool
	Recommendations    []OracleEntry
	ScaleUps           []OracleEntry
	ScaleDowns         []OracleEntry
	// Selectors of the other autoscalers, by namespace/name.
	Selectors map[string]labels.Selector

	Tolerance               float64
	DownscaleStabilization  time.Duration
	CPUInitializationPeriod time.Duration
	InitialReadinessDelay   time.Duration
	ScaleUpLimitFactor      float64
	ScaleUpLimitMinimum     float64
}

// OracleConnect puts plain listers and a recorder in the place of informers' caches and the event broadcaster.
func (a *HorizontalController) OracleConnect(hpas autoscalinglisters.HorizontalPodAutoscalerLister, pods corelisters.PodLister, recorder record.EventRecorder) {
	a.hpaLister = hpas
	a.podLister = pods
	a.eventRecorder = recorder
}

// OracleReconcile does what a worker does with a key from the queue, with the given memory instead of its own.
func (a *HorizontalController) OracleReconcile(ctx context.Context, key string, memory OracleMemory, metrics metricsclient.MetricsClient) error {
	a.tolerance = memory.Tolerance
	a.downscaleStabilisationWindow = memory.DownscaleStabilization
	a.replicaCalc = NewReplicaCalculator(metrics, a.podLister, memory.CPUInitializationPeriod, memory.InitialReadinessDelay)

	a.recommendations = map[string][]timestampedRecommendation{}
	if memory.HasRecommendations {
		a.recommendations[key] = toRecommendations(memory.Recommendations)
	}
	a.scaleUpEvents = map[string][]timestampedScaleEvent{key: toScaleEvents(memory.ScaleUps)}
	a.scaleDownEvents = map[string][]timestampedScaleEvent{key: toScaleEvents(memory.ScaleDowns)}
	a.consistencyStore = consistencyutil.NewNoopConsistencyStore()
	a.selectorTracker = newOracleSelectorTracker(key, memory.Selectors)

	defer useScaleUpLimit(memory.ScaleUpLimitFactor, memory.ScaleUpLimitMinimum)()
	_, err := a.reconcileKey(ctx, key)
	return err
}

func toRecommendations(entries []OracleEntry) []timestampedRecommendation {
	recommendations := make([]timestampedRecommendation, len(entries))
	for i, entry := range entries {
		recommendations[i] = timestampedRecommendation{entry.Replicas, entry.Time}
	}
	return recommendations
}

func toScaleEvents(entries []OracleEntry) []timestampedScaleEvent {
	events := make([]timestampedScaleEvent, len(entries))
	for i, entry := range entries {
		events[i] = timestampedScaleEvent{entry.Replicas, entry.Time, false}
	}
	return events
}

// newOracleSelectorTracker is filled as enqueueHPA and earlier reconciliations do.
func newOracleSelectorTracker(key string, others map[string]labels.Selector) hpaSelectorTracker {
	var tracker hpaSelectorTracker = newBiMultimapSelectorTracker()
	if utilfeature.DefaultFeatureGate.Enabled(features.HPAOptimizedSelectorStore) {
		tracker = newHPASelectorStore()
	}
	own := selectors.Parse(key)
	tracker.PutIfAbsent(own.Namespace, own, labels.Nothing())
	for name, selector := range others {
		other := selectors.Parse(name)
		tracker.PutIfAbsent(other.Namespace, other, selector)
	}
	return tracker
}

// The factor and the minimum are variables of the package, shared by all controllers: only those who agree on them run side by side.
var scaleUpLimitUsers sync.RWMutex

func useScaleUpLimit(factor, minimum float64) (release func()) {
	scaleUpLimitUsers.RLock()
	if scaleUpLimitFactor == factor && scaleUpLimitMinimum == minimum {
		return scaleUpLimitUsers.RUnlock
	}
	scaleUpLimitUsers.RUnlock()

	scaleUpLimitUsers.Lock()
	usualFactor, usualMinimum := scaleUpLimitFactor, scaleUpLimitMinimum
	scaleUpLimitFactor, scaleUpLimitMinimum = factor, minimum
	return func() {
		scaleUpLimitFactor, scaleUpLimitMinimum = usualFactor, usualMinimum
		scaleUpLimitUsers.Unlock()
	}
}
