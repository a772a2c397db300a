# One network, trained with noise, on the arrays of every target: occupancy, accuracy, cost.
# shellcheck shell=bash disable=SC2154

quick() {
  local data=("${tested[@]}") sites=()
  network chip --set quant.weight_noise=0.02
  place "$1" "$networks/chip/qat.safetensors" "${chips[@]}"
}

# With the network in models/ that was trained for the TaOx-like target with A in integers.
full() {
  local data=(--data "$mnist") sites=(--set crossbar.digital=A)
  place "$1" "$root/models/smnist-taox.safetensors" --set simulate.chips=20 \
    --set simulate.sequences=200
}

# place DIRECTORY MODEL SETTING...: maps and tests a model on the data of the caller.
place() {
  local directory=$1 model=$2 target
  for target in ideal "${targets[@]}"; do
    run "$directory/deploy/$target" deploy "$model" --target "$target" "${sites[@]}"
    run "$directory/simulate/$target" simulate "$model" --target "$target" --times "0 1d" \
      "${data[@]}" "${sites[@]}" "${@:3}"
  done
  run "$directory/cost" cost "$model" --target accelerator-45nm --target mcu-int8 \
    --target crossbar-14nm --target crossbar-32nm --target crossbar-130nm \
    --target crossbar-180nm-taox --same-node "${data[@]}" "${sites[@]}"
}
