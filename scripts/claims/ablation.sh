# A recurrence on TaOx-like arrays, without each of the options that make it accurate in turn, with
# and without the absolute noise of converters and drivers.
# shellcheck shell=bash disable=SC2154

quick() {
  network plain
  mapfile -t start < <(from plain)
  network taox "${start[@]}" --target taox-64x64
  ablate "$1/sample" "$networks/taox/qat.safetensors" "${tested[@]}" "${chips[@]}"
}

# Networks of which all sites are on arrays, trained for them.
full() {
  local float
  mnist_float
  run "$networks/mnist" train --config "$root/configs/smnist-small.toml" --data "$mnist" \
    --set "run.start=$float" --target taox-64x64 --set qat.epochs=8 --set qat.learning_rate=0.008 \
    --set qat.distill=0.5 --set qat.average=0.999
  ablate "$1/mnist" "$networks/mnist/qat.safetensors" --data "$mnist" --set simulate.chips=20 \
    --set simulate.sequences=1000
  ablate "$1/mnist-all" "$networks/mnist/qat.safetensors" --data "$mnist" --set simulate.chips=3
  [[ -n $fsdd ]] || return 0
  run "$networks/fsdd" train --config "$root/configs/fsdd.toml" --data "$fsdd" --target taox-64x64
  ablate "$1/fsdd" "$networks/fsdd/qat.safetensors" --data "$fsdd" --set simulate.chips=20
}

# ablate DIRECTORY MODEL OPTION...: every variant, with floors and without.
ablate() {
  local directory=$1 model=$2 floors variant
  local -A options=(
    [all]=""
    [recurrence]="crossbar.recurrence=direct"
    [driven]="crossbar.driven=all"
    [drive_halvings]="crossbar.drive_halvings=0"
    [increment_range]="crossbar.increment_range=codes"
    [compensation]="crossbar.compensation=none"
    [ir_drop_iterations]="crossbar.ir_drop_iterations=0")
  for floors in on off; do
    local without=()
    [[ $floors == on ]] || without=(--set crossbar.adc_noise_floor=0 --set crossbar.adc_offset_floor=0
      --set crossbar.dac_noise_floor=0)
    for variant in "${!options[@]}"; do
      run "$directory/$floors/$variant" simulate "$model" --target taox-64x64 --times "1s 1d" \
        ${options[$variant]:+--set "${options[$variant]}"} "${without[@]}" "${@:3}"
    done
  done
}
