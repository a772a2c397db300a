# A float network, and a small quantized one of similar accuracy: counts and energy of both.
# shellcheck shell=bash disable=SC2154

quick() {
  network wide --set run.quantize=false --set model.channels=32 --set model.states=32
  network small --set quant.preset=w4a8s8 --set qat.epochs=12
  compare "$1/sample" "$networks/wide/float.safetensors" "$networks/small/float.safetensors" \
    "$networks/small/qat.safetensors" "${tested[@]}"
}

# The wide network has the size of the published S4D, 201,482 parameters on sequential MNIST. The
# quantized ones are pruned; those for MNIST are in models/.
full() {
  local wide=(--set run.quantize=false --set model.channels=128 --set model.states=64
    --set model.layers=4)
  if [[ -n $fsdd ]]; then
    local config=(--config "$root/configs/fsdd.toml" --data "$fsdd")
    run "$networks/fsdd/wide" train "${config[@]}" "${wide[@]}"
    config+=(--set qat.epochs=80)
    run "$networks/fsdd/small" train "${config[@]}" --set quant.preset=w4a8s8
    run "$networks/fsdd/pruned" prune "$networks/fsdd/small/qat.safetensors" "${config[@]}" \
      --set prune.states=0.5 --set prune.channels=0.25
    compare "$1/fsdd" "$networks/fsdd/wide/float.safetensors" \
      "$networks/fsdd/small/float.safetensors" "$networks/fsdd/pruned/pruned.safetensors" \
      --data "$fsdd"
  fi
  run "$networks/mnist/wide" train --data "$mnist" "${wide[@]}" --set train.epochs=3 \
    --set train.validation=0.05
  compare "$1/mnist" "$networks/mnist/wide/float.safetensors" \
    "$root/models/smnist.float.safetensors" "$root/models/smnist-pruned-w4.safetensors" \
    --data "$mnist"
}

# compare DIRECTORY WIDE SMALL-FLOAT SMALL-QUANTIZED OPTION...
compare() {
  local model models=("${@:2:3}") names=(wide small quantized)
  for model in 0 1 2; do
    run "$1/eval/${names[model]}" eval "${models[model]}" "${@:5}"
  done
  run "$1/cost" cost "${models[@]}" --target accelerator-45nm --target crossbar-14nm "${@:5}"
}
