# Ternary weights everywhere, A, C and D included, against eight bits.
# shellcheck shell=bash disable=SC2154

quick() {
  network plain
  mapfile -t start < <(from plain)
  network ternary "${start[@]}" --set quant.preset=w2a8s8 --set qat.distill=0.5
  local network
  for network in plain ternary; do
    fit "$network" "$networks/plain/float.safetensors" "${sample[@]}"
  done
  list "$1" "sample, 8 bits" plain "sample, ternary" ternary
}

full() {
  local first=$seed fsdd_runs=()
  for seed in "$first" "$((first + 1))" "$((first + 2))"; do
    run "$networks/fsdd-$seed" train --config "$root/configs/fsdd.toml" --data "$fsdd"
    fit "fsdd-$seed" "$networks/fsdd-$seed/float.safetensors" --data "$fsdd"
    fsdd_runs+=("spoken digits, ternary" "fsdd-$seed")
  done
  seed=$first
  run "$networks/smnist" train --config "$root/configs/smnist-ternary.toml" --data "$mnist"
  fit smnist "$networks/smnist/float.safetensors" --data "$mnist" "${held_out[@]}"
  list "$1" "${fsdd_runs[@]}" "sequential MNIST, ternary" smnist
}

# fit NETWORK FLOAT DATA-OPTION...: the best PTQ within the bytes of the network's QAT.
fit() { fitted "$networks/$1-fitted" "$2" "$(pick bytes "$networks/$1")" "${@:3}"; }

# list DIRECTORY TASK NETWORK...: records for the report which network belongs to which task.
list() { printf '%s\t%s\n' "${@:2}" >"$1/tasks.txt"; }
