# A float network, and a small one trained with rounding, of similar accuracy: counts and energy of
# both, and of what comes between them: the float network with 8 bits after training, the float
# network that the small one was made of, the smallest float network that is as accurate as the small
# one, and the smallest one as accurate that is made of pruned float networks without training.
# shellcheck shell=bash disable=SC2154

# Quantized after training as well as eight bits allow.
eight=(--set quant.preset=w8a8s8 --set quant.state.residue_bits=6 --set quant.bias_correction=true)

quick() {
  network wide --set run.quantize=false --set model.channels=32 --set model.states=32
  network small --set quant.preset=w4a8s8 --set qat.epochs=12
  local fractions=("0.5 0.25" "0.7 0.4") data=("${sample[@]}") test_data=("${tested[@]}") formats=6
  [[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || formats=2
  compare "$1/sample" "$networks" "$networks/small/float.safetensors" \
    "$networks/small/qat.safetensors" "${retrain[@]}"
}

# The wide network has the size of the published S4D, 201,482 parameters on sequential MNIST. The
# quantized ones are pruned: of the spoken digits, the smallest one that is as accurate as the wide
# network; that of MNIST is in models/.
full() {
  local wide=(--set run.quantize=false --set model.channels=128 --set model.states=64
    --set model.layers=4)
  local formats=8 split=() fractions data test_data
  if [[ -n $fsdd ]]; then
    local config=(--config "$root/configs/fsdd.toml")
    local pair pruned=()
    fractions=("0.5 0.25" "0.75 0.4" "0.875 0.5" "0.9375 0.6")
    data=(--data "$fsdd") test_data=(--data "$fsdd")
    run "$networks/fsdd/wide" train "${config[@]}" "${data[@]}" "${wide[@]}"
    config+=(--set qat.epochs=80)
    run "$networks/fsdd/small" train "${config[@]}" "${data[@]}" --set quant.preset=w4a8s8
    for pair in "${fractions[@]}"; do
      run "$networks/fsdd/pruned-${pair/ /-}" prune "$networks/fsdd/small/qat.safetensors" \
        "${config[@]}" "${data[@]}" --set "prune.states=${pair% *}" --set "prune.channels=${pair#* }"
      pruned+=("$networks/fsdd/pruned-${pair/ /-}")
    done
    run "$1/fsdd/eval/wide" eval "$networks/fsdd/wide/float.safetensors" "${test_data[@]}"
    compare "$1/fsdd" "$networks/fsdd" "$networks/fsdd/small/float.safetensors" \
      "$(pick smallest "$1/fsdd/eval/wide" "${pruned[@]}")" "${config[@]}"
  fi
  fractions=("0.6 0.3" "0.7 0.45" "0.8 0.5" "0.8 0.6") split=("${held_out[@]}")
  data=(--data "$mnist") test_data=(--data "$mnist")
  run "$networks/mnist/wide" train "${data[@]}" "${wide[@]}" --set train.epochs=3 \
    --set train.validation=0.05
  local float
  mnist_float
  compare "$1/mnist" "$networks/mnist" "$float" \
    "$root/models/smnist-pruned-w4.safetensors" --config "$root/configs/smnist-pruned.toml"
}

# compare DIRECTORY NETWORKS SMALL-FLOAT SMALL-QUANTIZED OPTION...: the wide network is
# NETWORKS/wide; the options retrain the smaller float networks, one for each of the fractions of
# states and channels that are pruned, which are then rounded in as many formats without training.
# Uses data, of training commands, and test_data.
compare() {
  local directory=$1 own=$2 small=$3 quantized=$4 model
  local wide=$own/wide/float.safetensors
  run "$own/wide-ptq" quantize "$wide" "${eight[@]}" "${data[@]}"
  run "$directory/eval/quantized" eval "$quantized" "${test_data[@]}"
  smaller "$own" "$small" "${@:5}"
  local names=(wide wide-ptq small smallest fitted quantized) shares=("${fractions[@]/ /-}")
  local models=("$wide" "$own/wide-ptq/ptq.safetensors" "$small"
    "$(pick smallest "$directory/eval/quantized" "${shares[@]/#/$own/smaller-}")"
    "$(pick fewest "$directory/eval/quantized" "${shares[@]/#/$own/fitted-}")" "$quantized")
  for model in "${!names[@]}"; do
    run "$directory/eval/${names[model]}" eval "${models[model]}" "${test_data[@]}"
  done
  run "$directory/cost" cost "${models[@]}" --target accelerator-45nm --target crossbar-14nm \
    "${test_data[@]}"
}
