# States and channels taken out of a quantized network and of the float one that it came from.
# shellcheck shell=bash disable=SC2154

quick() {
  network plain
  remove "$1" "${sample[@]}" "${retrain[@]}"
}

full() {
  run "$networks/plain" train --config "$root/configs/smnist-small.toml" --data "$mnist"
  remove "$1" --data "$mnist" --set train.validation=0.05 --set qat.epochs=4 \
    --set qat.learning_rate=0.007
}

remove() {
  # Each network is trained on as it was before: the float one stays float.
  local against="prune.against=$networks/plain/float.safetensors" stay="run.quantize=false"
  run "$1/states" prune "$networks/plain/qat.safetensors" --set "$against" --set "$stay" \
    --set "prune.states=0.2 0.4 0.6 0.8" --set prune.channels=0 "${@:2}"
  run "$1/channels" prune "$networks/plain/qat.safetensors" --set "$against" --set "$stay" \
    --set prune.states=0 --set "prune.channels=0.15 0.3 0.45 0.6" "${@:2}"
}
