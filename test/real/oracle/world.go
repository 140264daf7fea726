package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	resourcemetrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	resourceclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	customclient "k8s.io/metrics/pkg/client/custom_metrics"
	externalclient "k8s.io/metrics/pkg/client/external_metrics"
)

// world is the cluster that a snapshot describes, as the controller's clients see it, and a note of what the controller did to it.
// Every client below is a part of it; the methods that the controller never calls come from an embedded nil.
type world struct {
	*snapshot

	written *autoscalingv2.HorizontalPodAutoscaler
	// asked is the size that was last asked for, resized whether it was granted.
	asked   *int32
	resized bool
	events  []event
}

type event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// wakeAt moves the clock on: nobody else is awake in the bubble, so that happens at once.
//
// A controller wakes an instant before the snapshot's time, and has come there when it looks at the pods: what it takes for the first
// recommendation, before that, is older than what it decides, as it is with every clock that moves.
func (world) wakeAt(instant time.Time) {
	time.Sleep(time.Until(instant))
}

func failure(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// The autoscaler itself.

type hpas struct {
	autoscalinglisters.HorizontalPodAutoscalerLister
	autoscalinglisters.HorizontalPodAutoscalerNamespaceListerExpansion
	*world
}

func (client hpas) HorizontalPodAutoscalers(string) autoscalinglisters.HorizontalPodAutoscalerNamespaceLister {
	return hpasOfNamespace{world: client.world}
}

type hpasOfNamespace struct {
	autoscalinglisters.HorizontalPodAutoscalerNamespaceLister
	*world
}

func (client hpasOfNamespace) Get(string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return client.hpa, nil
}

type hpaWriter struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	*world
}

func (client hpaWriter) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return client
}

func (client hpaWriter) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	client.written = hpa
	return hpa, nil
}

// Its target.

type mapper struct{ apimeta.RESTMapper }

// RESTMappings knows every kind: that the target's kind is served is part of what its recorded scale says.
func (mapper) RESTMappings(kind schema.GroupKind, _ ...string) ([]*apimeta.RESTMapping, error) {
	plural, _ := apimeta.UnsafeGuessKindToResource(kind.WithVersion(""))
	return []*apimeta.RESTMapping{{Resource: plural, GroupVersionKind: kind.WithVersion(""), Scope: apimeta.RESTScopeNamespace}}, nil
}

type scales struct {
	scaleclient.ScaleInterface
	*world
}

func (client scales) Scales(string) scaleclient.ScaleInterface { return client }

func (client scales) Get(_ context.Context, resource schema.GroupResource, name string, _ metav1.GetOptions) (*autoscalingv1.Scale, error) {
	if err := failure(client.Failures.Scale); err != nil {
		return nil, err
	}
	if client.Scale == nil {
		return nil, apierrors.NewNotFound(resource, name)
	}
	return client.Scale.DeepCopy(), nil
}

func (client scales) Update(_ context.Context, _ schema.GroupResource, scale *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	replicas := scale.Spec.Replicas
	client.asked = &replicas
	if err := failure(client.Failures.ScaleWrite); err != nil {
		return nil, err
	}
	client.resized = true
	return scale, nil
}

// Its pods.

type pods struct {
	corelisters.PodLister
	*world
}

func (client pods) Pods(namespace string) corelisters.PodNamespaceLister {
	return podsOfNamespace{world: client.world, namespace: namespace}
}

type podsOfNamespace struct {
	corelisters.PodNamespaceLister
	*world
	namespace string
}

func (client podsOfNamespace) List(selector labels.Selector) ([]*v1.Pod, error) {
	client.wakeAt(*client.Now)
	if err := failure(client.Failures.Pods); err != nil {
		return nil, err
	}
	var matching []*v1.Pod
	for _, pod := range client.snapshot.Pods {
		if isIn(client.namespace, pod.Namespace) && selector.Matches(labels.Set(pod.Labels)) {
			matching = append(matching, pod)
		}
	}
	return matching, nil
}

// isIn takes an object without a namespace for one of the namespace in question.
func isIn(namespace, of string) bool {
	return of == "" || of == namespace
}

// Their usage: metrics.k8s.io.

type podMetrics struct {
	resourceclient.PodMetricsInterface
	*world
	namespace string
}

func (client podMetrics) PodMetricses(namespace string) resourceclient.PodMetricsInterface {
	return podMetrics{world: client.world, namespace: namespace}
}

func (client podMetrics) List(_ context.Context, options metav1.ListOptions) (*resourcemetrics.PodMetricsList, error) {
	if err := failure(client.Failures.PodMetrics); err != nil {
		return nil, err
	}
	selector, err := labels.Parse(options.LabelSelector)
	if err != nil {
		return nil, err
	}
	list := &resourcemetrics.PodMetricsList{}
	for _, sample := range client.snapshot.PodMetrics {
		if isIn(client.namespace, sample.Namespace) && selector.Matches(labels.Set(sample.Labels)) {
			list.Items = append(list.Items, sample)
		}
	}
	return list, nil
}

// What the workload says of itself: custom.metrics.k8s.io.

type customMetrics struct {
	*world
	namespace string
	isRoot    bool
}

func (client customMetrics) RootScopedMetrics() customclient.MetricsInterface {
	return customMetrics{world: client.world, isRoot: true}
}

func (client customMetrics) NamespacedMetrics(namespace string) customclient.MetricsInterface {
	return customMetrics{world: client.world, namespace: namespace}
}

func (client customMetrics) GetForObject(kind schema.GroupKind, name string, metric string, selector labels.Selector) (*custommetrics.MetricValue, error) {
	if err := failure(client.Failures.CustomMetrics); err != nil {
		return nil, err
	}
	for i := range client.snapshot.CustomMetrics {
		value := &client.snapshot.CustomMetrics[i]
		if value.DescribedObject.Name == name && client.holds(value, kind, metric, selector) {
			return value, nil
		}
	}
	return nil, apierrors.NewNotFound(custommetrics.Resource(strings.ToLower(kind.String())), name+"/"+metric)
}

// GetForObjects chooses the pods by the snapshot's own; the value of a pod that is not there is the API's mistake, and stays.
func (client customMetrics) GetForObjects(kind schema.GroupKind, selector labels.Selector, metric string, metricSelector labels.Selector) (*custommetrics.MetricValueList, error) {
	if err := failure(client.Failures.CustomMetrics); err != nil {
		return nil, err
	}
	foreign := map[string]bool{}
	for _, pod := range client.snapshot.Pods {
		foreign[pod.Name] = !selector.Matches(labels.Set(pod.Labels))
	}
	list := &custommetrics.MetricValueList{}
	for i := range client.snapshot.CustomMetrics {
		value := &client.snapshot.CustomMetrics[i]
		if client.holds(value, kind, metric, metricSelector) && !foreign[value.DescribedObject.Name] {
			list.Items = append(list.Items, *value)
		}
	}
	return list, nil
}

func (client customMetrics) holds(value *custommetrics.MetricValue, kind schema.GroupKind, metric string, selector labels.Selector) bool {
	described := value.DescribedObject
	if value.Metric.Name != metric || described.Kind != kind.Kind {
		return false
	}
	if described.APIVersion != "" && described.GroupVersionKind().Group != kind.Group {
		return false
	}
	if !client.isRoot && !isIn(client.namespace, described.Namespace) {
		return false
	}
	return value.Metric.Selector == nil || isAskedFor(value.Metric.Selector, selector)
}

// isAskedFor compares the selector that a value was recorded with. On the wire a selector is text, and the one that matches nothing,
// which the controller makes of an absent one, is empty there.
func isAskedFor(recorded *metav1.LabelSelector, asked labels.Selector) bool {
	selector, err := metav1.LabelSelectorAsSelector(recorded)
	return err == nil && selector.String() == asked.String()
}

// What the world around it says: external.metrics.k8s.io.

type externalMetrics struct{ *world }

func (client externalMetrics) NamespacedMetrics(string) externalclient.MetricsInterface {
	return client
}

func (client externalMetrics) List(metric string, selector labels.Selector) (*externalmetrics.ExternalMetricValueList, error) {
	if err := failure(client.Failures.ExternalMetrics); err != nil {
		return nil, err
	}
	// As text, and read again, as on the wire.
	asked, err := labels.Parse(selector.String())
	if err != nil {
		return nil, err
	}
	list := &externalmetrics.ExternalMetricValueList{}
	for _, value := range client.snapshot.ExternalMetrics {
		if value.MetricName == metric && asked.Matches(labels.Set(value.MetricLabels)) {
			list.Items = append(list.Items, value)
		}
	}
	return list, nil
}

// What it tells.

type recorder struct{ *world }

func (client recorder) Event(_ runtime.Object, kind, reason, message string) {
	client.events = append(client.events, event{kind, reason, message})
}

func (client recorder) Eventf(object runtime.Object, kind, reason, format string, values ...any) {
	client.Event(object, kind, reason, fmt.Sprintf(format, values...))
}

func (client recorder) AnnotatedEventf(object runtime.Object, _ map[string]string, kind, reason, format string, values ...any) {
	client.Eventf(object, kind, reason, format, values...)
}

// noEvents is where the constructor sends the events of a recorder that is replaced before it records any.
type noEvents struct{ coreclient.EventInterface }

func (noEvents) Events(string) coreclient.EventInterface { return noEvents{} }
