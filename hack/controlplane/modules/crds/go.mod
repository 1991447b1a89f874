// Only read for its CustomResourceDefinition files, so its own dependencies need no sums.
module rbgctrl/controlplane/crds

go 1.26.0

require sigs.k8s.io/scheduler-plugins v0.32.7
