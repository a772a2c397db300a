# A float network, and a small quantized one that is about as accurate: counts and energy of both.
# shellcheck shell=bash disable=SC2154

quick() {
  network wide --set run.quantize=false --set model.channels=32 --set model.states=32
  network small --set quant.preset=w4a8s8 --set qat.epochs=12
  compare "$1/sample" "$networks" "${sample[@]}"
}

# The wide network has the size of the published S4D, 201,482 parameters on sequential MNIST.
full() {
  local wide=(--set run.quantize=false --set model.channels=128 --set model.states=64
    --set model.layers=4)
  if [[ -n $fsdd ]]; then
    local config=(--config "$root/configs/fsdd.toml" --data "$fsdd")
    run "$networks/fsdd/wide" train "${config[@]}" "${wide[@]}"
    run "$networks/fsdd/small" train "${config[@]}" --set quant.preset=w4a8s8 --set qat.epochs=80
    compare "$1/fsdd" "$networks/fsdd" --data "$fsdd"
  fi
  run "$networks/mnist/wide" train --data "$mnist" "${wide[@]}" --set train.epochs=10 \
    --set train.validation=0.05
  run "$networks/mnist/small" train --config "$root/configs/smnist-8k.toml" --data "$mnist"
  compare "$1/mnist" "$networks/mnist" --data "$mnist"
}

# compare DIRECTORY NETWORKS OPTION...
compare() {
  run "$1/cost" cost "$2/wide/float.safetensors" "$2/small/float.safetensors" \
    "$2/small/qat.safetensors" --target accelerator-45nm --target crossbar-14nm "${@:3}"
  # Which networks belong to it, and where they are.
  printf '%s\n' "$2" >"$1/networks.txt"
}
