# A float network, and a small quantized one that is about as accurate: counts and energy of both.
# shellcheck shell=bash disable=SC2154

quick() {
  network wide --set run.quantize=false --set model.channels=32 --set model.states=32
  network small --set quant.preset=w4a8s8 --set qat.epochs=12
  compare "$1" "${sample[@]}"
}

full() {
  run "$networks/wide" train --data "$mnist" --set run.quantize=false --set model.channels=64 \
    --set model.states=64 --set model.layers=4 --set train.epochs=10 --set train.validation=0.05
  run "$networks/small" train --config "$root/configs/smnist-8k.toml" --data "$mnist"
  compare "$1" --data "$mnist"
}

compare() {
  run "$1/cost" cost "$networks/wide/float.safetensors" "$networks/small/float.safetensors" \
    "$networks/small/qat.safetensors" --target accelerator-45nm --target crossbar-14nm "${@:2}"
}
