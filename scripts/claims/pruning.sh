# States and channels pruned from a quantized network and from the float network that it was quantized from.
# shellcheck shell=bash disable=SC2154

quick() {
  network plain
  curves=()
  remove "$1" "${sample[@]}" "${retrain[@]}"
}

full() {
  run "$networks/plain" train --config "$root/configs/smnist-small.toml" --data "$mnist"
  curves=(--set qat.epochs=2)
  remove "$1" --config "$root/configs/smnist-pruned.toml" --data "$mnist"
}

# remove DIRECTORY OPTION...: states and channels, states alone, channels alone.
remove() {
  # Each network is retrained as it was trained: the float one stays float.
  local pair=("$networks/plain/qat.safetensors" --set run.quantize=false
    --set "prune.against=$networks/plain/float.safetensors")
  run "$1/both" prune "${pair[@]}" "${@:2}" --set prune.states=0.6 --set prune.channels=0.3
  # Curves of eight networks each are retrained for fewer epochs.
  run "$1/states" prune "${pair[@]}" "${@:2}" --set "prune.states=0.2 0.4 0.6 0.8" \
    --set prune.channels=0 "${curves[@]}"
  run "$1/channels" prune "${pair[@]}" "${@:2}" --set prune.states=0 \
    --set "prune.channels=0.15 0.3 0.45 0.6" "${curves[@]}"
}
