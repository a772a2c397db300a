# One network, trained with noise, on the arrays of every target: occupancy, accuracy, cost.
# shellcheck shell=bash disable=SC2154

quick() {
  network chip --set quant.weight_noise=0.02
  place "$1" "${sample[@]}" "${chips[@]}"
}

full() {
  run "$networks/chip" train --config "$root/configs/smnist-small.toml" --data "$mnist" \
    --set quant.weight_noise=0.02
  place "$1" --data "$mnist" --set simulate.chips=10 --set simulate.sequences=1000
}

place() {
  local directory=$1 target data=("${sample[@]}") model=$networks/chip/qat.safetensors
  [[ -z $mnist ]] || data=(--data "$mnist")
  for target in ideal "${targets[@]}"; do
    run "$directory/deploy/$target" deploy "$model" --target "$target"
    run "$directory/simulate/$target" simulate "$model" --target "$target" --times "0 1d" "${@:2}"
  done
  run "$directory/cost" cost "$model" --target accelerator-45nm --target mcu-int8 \
    --target crossbar-14nm --target crossbar-32nm --target crossbar-130nm \
    --target crossbar-180nm-taox "${data[@]}"
}
