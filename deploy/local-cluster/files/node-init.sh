#!/bin/sh
# The first process of a node, in mount, process, network, host name and IPC namespaces of its own. It prepares
# the mounts, starts containerd, kube-proxy and the kubelet, and starts them again when they end. Killing it ends
# everything on the node. A script because those who use the library have no binary to run again.
#
# usage: node-init.sh NODE_FOLDER STATE_FOLDER KUBERNETES_FOLDER PAUSE_ARCHIVE HOSTNAME
set -eu
node=$1 state=$2 programs=$3 pause=$4 name=$5

# Nothing mounted here reaches the host; what pods mount reaches other pods.
mount --make-rprivate /
mount --make-rshared /

# Programs write to these folders; on a node they are its own. /var/lib keeps only the state of the cluster.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/state /run/lock
mount --bind "$state" /run/state
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p "$state" /var/lib/kubelet /var/lib/cni
mount --bind /run/state "$state"
umount /run/state
mkdir -p "$node/kubelet" "$node/cni-cache" "$node/log" "$node/sysctl"
mount --bind "$node/kubelet" /var/lib/kubelet
mount --bind "$node/cni-cache" /var/lib/cni
mount --bind "$node/log" /var/log

# The kubelet sets these for the whole machine. It gets copies to write to instead.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
	kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
	[ -e "/proc/sys/$setting" ] || continue
	copy=$node/sysctl/$(echo "$setting" | tr / _)
	cat "/proc/sys/$setting" > "$copy"
	mount --bind "$copy" "/proc/sys/$setting"
done

echo "$name" > /proc/sys/kernel/hostname
echo 1 > /proc/sys/net/ipv4/ip_forward
# Packets from a pod to a service that lands on the same node must pass kube-proxy's rules on the way back.
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
	echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
fi

# keep NAME COMMAND...: runs the command again whenever it ends.
keep() {
	log=$node/$1.log
	shift
	while :; do
		"$@" >> "$log" 2>&1 || true
		echo "$1 ended; started again in a second" >> "$log"
		sleep 1
	done
}

keep containerd containerd --config "$node/containerd.toml" &
keep kube-proxy "$programs/kube-proxy" --config "$node/kube-proxy.yaml" --hostname-override "$name" &

# The pause image is needed by the first pod; 30 s are ample for containerd to answer.
tries=0
until ctr --address "$node/containerd.sock" --namespace k8s.io images import "$pause" >> "$node/containerd.log" 2>&1; do
	tries=$((tries + 1))
	[ "$tries" -lt 300 ] || exit 1
	sleep 0.1
done

keep kubelet "$programs/kubelet" --config "$node/kubelet.yaml" --kubeconfig "$node/kubelet.kubeconfig" \
	--hostname-override "$name" --node-ip "$(cat "$node/address")" --root-dir /var/lib/kubelet --v 1 &
wait
