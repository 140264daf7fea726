package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"controlplane/podautoscaler"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	resourcemetrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	kjson "sigs.k8s.io/json"
)

// snapshot is one recorded observation, as `headrace replay` reads it.
type snapshot struct {
	Kind             string                                `json:"kind"`
	Name             string                                `json:"name"`
	Now              *time.Time                            `json:"now"`
	Settings         settings                              `json:"settings"`
	Autoscaler       json.RawMessage                       `json:"autoscaler"`
	Scale            *autoscalingv1.Scale                  `json:"scale"`
	Pods             []*v1.Pod                             `json:"pods"`
	PodMetrics       []resourcemetrics.PodMetrics          `json:"podMetrics"`
	CustomMetrics    []custommetrics.MetricValue           `json:"customMetrics"`
	ExternalMetrics  []externalmetrics.ExternalMetricValue `json:"externalMetrics"`
	OtherAutoscalers []otherAutoscaler                     `json:"otherAutoscalers"`
	Failures         failures                              `json:"failures"`

	// Made from Autoscaler.
	hpa    *autoscalingv2.HorizontalPodAutoscaler
	memory podautoscaler.OracleMemory
}

// settings are the flags of kube-controller-manager; an absent one has the flag's default.
type settings struct {
	Tolerance                      *float64 `json:"tolerance"`
	CPUInitializationPeriodSeconds *float64 `json:"cpuInitializationPeriodSeconds"`
	InitialReadinessDelaySeconds   *float64 `json:"initialReadinessDelaySeconds"`
	DownscaleStabilizationSeconds  *float64 `json:"downscaleStabilizationSeconds"`
	SyncPeriodSeconds              *float64 `json:"syncPeriodSeconds"`
	ScaleUpLimitFactor             *float64 `json:"scaleUpLimitFactor"`
	ScaleUpLimitMinimum            *float64 `json:"scaleUpLimitMinimum"`
	IgnoredPodPhases               []string `json:"ignoredPodPhases"`
}

type otherAutoscaler struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Selector string            `json:"selector"`
}

type failures struct {
	Scale           string `json:"scale"`
	Pods            string `json:"pods"`
	PodMetrics      string `json:"podMetrics"`
	CustomMetrics   string `json:"customMetrics"`
	ExternalMetrics string `json:"externalMetrics"`
	ScaleWrite      string `json:"scaleWrite"`
}

// history is what a FlinkAutoscaler keeps in its status, and the HPA controller in its memory.
type history struct {
	Spec struct {
		Controller settings `json:"controller"`
	} `json:"spec"`
	Status struct {
		Recommendations []recommendation `json:"recommendations"`
		ScaleEvents     []scaleEvent     `json:"scaleEvents"`
	} `json:"status"`
}

type recommendation struct {
	Replicas int32      `json:"replicas"`
	From     time.Time  `json:"from"`
	Until    *time.Time `json:"until"`
}

type scaleEvent struct {
	Change int32     `json:"change"`
	Time   time.Time `json:"time"`
}

// unsupportedError is a wish that the real controller cannot be made to fulfil.
type unsupportedError string

func (wish unsupportedError) Error() string { return string(wish) }

// readSnapshot decodes a line as the API server decodes objects: case-sensitive names, unknown fields ignored.
func readSnapshot(line []byte) (*snapshot, error) {
	read := &snapshot{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(line, read); err != nil {
		return read, err
	}
	if read.Kind != "Snapshot" || read.Now == nil || len(read.Autoscaler) == 0 {
		return read, fmt.Errorf("a snapshot has kind Snapshot, now and autoscaler")
	}

	var err error
	if read.hpa, err = readAutoscaler(read.Autoscaler); err != nil {
		return read, err
	}
	var past history
	if err := kjson.UnmarshalCaseSensitivePreserveInts(read.Autoscaler, &past); err != nil {
		return read, err
	}
	read.Settings = read.Settings.withDefaults(past.Spec.Controller)
	if !slices.Equal(read.Settings.IgnoredPodPhases, []string{"Failed"}) {
		return read, unsupportedError("the real controller ignores pods that have Failed and no other phase")
	}
	read.memory, err = read.remember(past)
	return read, err
}

// readAutoscaler gives the object that a client of the API server reads after it was created from this manifest: every default is
// filled in, and autoscaling/v1 has become v2. A FlinkAutoscaler is read as the HPA whose fields it has.
func readAutoscaler(manifest []byte) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	var meta metav1.TypeMeta
	if err := kjson.UnmarshalCaseSensitivePreserveInts(manifest, &meta); err != nil {
		return nil, err
	}
	internal := &autoscaling.HorizontalPodAutoscaler{}
	switch {
	case meta.Kind == "HorizontalPodAutoscaler" && meta.APIVersion == "autoscaling/v1":
		if err := throughDefaults(manifest, &autoscalingv1.HorizontalPodAutoscaler{}, internal); err != nil {
			return nil, err
		}
	case meta.Kind == "HorizontalPodAutoscaler" && meta.APIVersion == "autoscaling/v2", meta.Kind == "FlinkAutoscaler":
		if err := throughDefaults(manifest, &autoscalingv2.HorizontalPodAutoscaler{}, internal); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("an autoscaler is a HorizontalPodAutoscaler (autoscaling/v1 or v2) or a FlinkAutoscaler, not %s %s", meta.APIVersion, meta.Kind)
	}

	hpa := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := legacyscheme.Scheme.Convert(internal, hpa, nil); err != nil {
		return nil, err
	}
	// What is stored is completed once more when it is read.
	legacyscheme.Scheme.Default(hpa)
	return hpa, nil
}

func throughDefaults[Version interface {
	*autoscalingv1.HorizontalPodAutoscaler | *autoscalingv2.HorizontalPodAutoscaler
}](manifest []byte, versioned Version, internal *autoscaling.HorizontalPodAutoscaler) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(manifest, versioned); err != nil {
		return err
	}
	setDefaults(versioned)
	return legacyscheme.Scheme.Convert(versioned, internal, nil)
}

func setDefaults(versioned any) {
	switch object := versioned.(type) {
	case *autoscalingv1.HorizontalPodAutoscaler:
		legacyscheme.Scheme.Default(object)
	case *autoscalingv2.HorizontalPodAutoscaler:
		legacyscheme.Scheme.Default(object)
	}
}

// withDefaults lets the autoscaler's own settings win over the snapshot's, and the flags' defaults fill what neither says.
func (given settings) withDefaults(own settings) settings {
	choose := func(own, given *float64, otherwise float64) *float64 {
		switch {
		case own != nil:
			return own
		case given != nil:
			return given
		}
		return &otherwise
	}
	phases := given.IgnoredPodPhases
	if phases == nil {
		phases = []string{"Failed"}
	}
	return settings{
		Tolerance:                      choose(own.Tolerance, given.Tolerance, 0.1),
		CPUInitializationPeriodSeconds: choose(own.CPUInitializationPeriodSeconds, given.CPUInitializationPeriodSeconds, 300),
		InitialReadinessDelaySeconds:   choose(own.InitialReadinessDelaySeconds, given.InitialReadinessDelaySeconds, 30),
		DownscaleStabilizationSeconds:  choose(own.DownscaleStabilizationSeconds, given.DownscaleStabilizationSeconds, 300),
		SyncPeriodSeconds:              choose(nil, given.SyncPeriodSeconds, 15),
		ScaleUpLimitFactor:             choose(nil, given.ScaleUpLimitFactor, 2),
		ScaleUpLimitMinimum:            choose(nil, given.ScaleUpLimitMinimum, 4),
		IgnoredPodPhases:               phases,
	}
}

// remember writes the history out as the controller would hold it, had it been running: an entry for every tick.
func (read *snapshot) remember(past history) (podautoscaler.OracleMemory, error) {
	memory := podautoscaler.OracleMemory{
		Selectors:               map[string]labels.Selector{},
		Tolerance:               *read.Settings.Tolerance,
		DownscaleStabilization:  seconds(read.Settings.DownscaleStabilizationSeconds),
		CPUInitializationPeriod: seconds(read.Settings.CPUInitializationPeriodSeconds),
		InitialReadinessDelay:   seconds(read.Settings.InitialReadinessDelaySeconds),
		HasRecommendations:      past.Status.Recommendations != nil,
		ScaleUpLimitFactor:      *read.Settings.ScaleUpLimitFactor,
		ScaleUpLimitMinimum:     *read.Settings.ScaleUpLimitMinimum,
	}
	syncPeriod := seconds(read.Settings.SyncPeriodSeconds)
	if syncPeriod < time.Second {
		return memory, fmt.Errorf("settings.syncPeriodSeconds is at least 1")
	}
	for _, held := range past.Status.Recommendations {
		for _, tick := range held.ticks(*read.Now, syncPeriod) {
			memory.Recommendations = append(memory.Recommendations, podautoscaler.OracleEntry{Replicas: held.Replicas, Time: tick})
		}
	}
	for _, event := range past.Status.ScaleEvents {
		if event.Change > 0 {
			memory.ScaleUps = append(memory.ScaleUps, podautoscaler.OracleEntry{Replicas: event.Change, Time: event.Time})
		} else {
			memory.ScaleDowns = append(memory.ScaleDowns, podautoscaler.OracleEntry{Replicas: -event.Change, Time: event.Time})
		}
	}
	for _, other := range read.OtherAutoscalers {
		namespace := other.Metadata.Namespace
		if namespace == "" {
			namespace = read.hpa.Namespace
		}
		memory.Selectors[namespace+"/"+other.Metadata.Name] = lastKnownSelector(other.Selector)
	}
	return memory, nil
}

// A history of days in ticks of a second is cut: what is older than the longest window no longer counts.
const mostTicks = 10_000

// ticks are the instants from `from` on, a sync period apart, and the last one. While it still held when last looked at, that is the
// tick before this one.
func (held recommendation) ticks(now time.Time, syncPeriod time.Duration) []time.Time {
	last := now.Add(-syncPeriod)
	if held.Until != nil {
		last = *held.Until
	}
	if !last.After(held.From) {
		return []time.Time{held.From}
	}
	first := held.From
	if skipped := last.Sub(held.From)/syncPeriod - mostTicks; skipped > 0 {
		first = held.From.Add(skipped * syncPeriod)
	}
	var ticks []time.Time
	for tick := first; tick.Before(last); tick = tick.Add(syncPeriod) {
		ticks = append(ticks, tick)
	}
	return append(ticks, last)
}

// lastKnownSelector gives a selector as the controller keeps it: an autoscaler without a usable one is known with one that matches nothing.
func lastKnownSelector(text string) labels.Selector {
	selector, err := labels.Parse(text)
	if err != nil || text == "" {
		return labels.Nothing()
	}
	return selector
}

func seconds(number *float64) time.Duration {
	return time.Duration(*number * float64(time.Second))
}
