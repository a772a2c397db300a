# The same network rounded after training, in training, and in training with noise, on noisy chips.
# shellcheck shell=bash disable=SC2154

quick() {
  network plain
  mapfile -t start < <(from plain)
  network noise "${start[@]}" "${noise[@]}"
  test_chips "$1" "${sample[@]}" "${chips[@]}"
}

full() {
  local config=(--config "$root/configs/smnist-small.toml" --data "$mnist")
  run "$networks/plain" train "${config[@]}"
  mapfile -t start < <(from plain)
  run "$networks/noise" train "${config[@]}" "${start[@]}" "${noise[@]}"
  test_chips "$1" --data "$mnist" --set simulate.chips=10 --set simulate.sequences=1000
}

noise=(--set quant.weight_noise=0.05 --set quant.device_noise=0.05)

# test_chips DIRECTORY OPTION...: every model on cells of several noises, and on the shipped targets.
test_chips() {
  local directory=$1 level target kind
  # Sixteen bits of state and activations have no dead band: what is left is noise alone.
  run "$networks/ptq16" quantize "$networks/plain/float.safetensors" --set quant.preset=w8a16s16 \
    "${@:2}"
  declare -A models=([ptq]=$networks/plain/ptq.safetensors [ptq16]=$networks/ptq16/ptq.safetensors
    [qat]=$networks/plain/qat.safetensors [noise]=$networks/noise/qat.safetensors)
  for kind in ptq ptq16 qat noise; do
    for level in "${levels[@]}"; do
      run "$directory/noise/$kind/$level" simulate "${models[$kind]}" --target ideal \
        --set "device.programming_noise=$level" "${@:2}"
    done
    for target in "${targets[@]}"; do
      run "$directory/targets/$kind/$target" simulate "${models[$kind]}" --target "$target" "${@:2}"
    done
  done
}
