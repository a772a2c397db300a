# Two classes of spoken digits on three 64 x 64 arrays, as IMSSA has them: software against chips.
# shellcheck shell=bash disable=SC2034,SC2154

# Standard deviations of a cell relative to the largest conductance, in place of the target's cells.
deviations=(0.05 0.1 0.2 0.4)

# Images of zeros and ones in place of recordings.
quick() {
  local data=("${tested[@]}" --set "data.classes=0 1")
  local sites=(--set crossbar.recurrence=direct
    --set "crossbar.digital=encoder, pointwise, decoder")
  local shape=(--set model.channels=12 --set model.states=4 --set model.layers=3)
  network imssa/sample --target taox-64x64 "${sites[@]}" --set "data.classes=0 1" \
    --set simulate.times=1s --set quant.preset=w2a8s8 --set quant.a.coding=cartesian
  : >"$1/networks.txt"
  on_chips "$1" "sample, zeros and ones" sample --times "1s 1h 1d" "${chips[@]}"
  on_worse_cells "$1" sample "${chips[@]}"
}

full() {
  local config=(--config "$root/configs/imssa.toml") first=$seed a b speaker data sites
  : >"$1/networks.txt"
  for ((a = 0; a < 10; ++a)); do
    for ((b = a + 1; b < 10; ++b)); do measure "$1" "all 45 pairs" ""; done
  done
  for ((a = 0; a < 10; a += 2)); do # five pairs that have every digit once
    b=$((a + 1))
    for seed in "$first" "$((first + 1))" "$((first + 2))"; do
      measure "$1" "five pairs, three seeds" ""
      one_layer "$1"
    done
    seed=$first
    data=(--data "$fsdd" --set "data.classes=$a $b") sites=("${config[@]}")
    on_worse_cells "$1" "$a-$b-$seed" --times 0
    # These speakers had no part in the choice of the network.
    for speaker in lucas nicolas theo yweweler; do
      measure "$1" "five pairs, unseen speakers" "-$speaker" --set "data.test_speaker=$speaker"
    done
  done
}

# measure DIRECTORY GROUP SUFFIX DATA-SETTING...: a network for the digits a and b.
measure() {
  local data=(--data "$fsdd" --set "data.classes=$a $b" "${@:4}") sites=("${config[@]}")
  run "$networks/imssa/$a-$b-$seed$3" train "${config[@]}" --target taox-64x64 "${data[@]}"
  on_chips "$1" "$2" "$a-$b-$seed$3"
}

# one_layer DIRECTORY: a network whose encoder and pointwise layer are on arrays, too.
one_layer() {
  local name=$a-$b-$seed-one-layer data=(--data "$fsdd" --set "data.classes=$a $b")
  local sites=("${config[@]}" --set crossbar.digital=decoder)
  run "$networks/imssa/$name" train "${sites[@]}" --target taox-64x64 "${data[@]}" \
    --set model.layers=1
  on_chips "$1" "five pairs, one layer" "$name"
}

# on_chips DIRECTORY GROUP NAME SETTING...: the integer network, its arrays, and its accuracy on
# chips, with the data and sites of the caller; records that the network belongs to the group.
on_chips() {
  local model=$networks/imssa/$3/qat
  run "$1/integer/$3" eval "$model.integer.safetensors" "${data[@]}"
  run "$1/deploy/$3" deploy "$model.safetensors" --target taox-64x64 "${sites[@]}"
  run "$1/chips/$3" simulate "$model.safetensors" --target taox-64x64 "${data[@]}" \
    "${sites[@]}" "${@:4}"
  printf '%s\t%s\n' "$2" "$3" >>"$1/networks.txt"
}

# on_worse_cells DIRECTORY NAME SETTING...: the same chips with cells of each of the deviations.
on_worse_cells() {
  local level
  for level in "${deviations[@]}"; do
    run "$1/cells/$level/$2" simulate "$networks/imssa/$2/qat.safetensors" --target taox-64x64 \
      "${data[@]}" "${sites[@]}" "${@:3}" --set device.model=gaussian --set device.g_min=1 \
      --set device.g_max=100 --set device.noise_relative_to=gmax --set device.read_noise=0 \
      --set "device.programming_noise=$level"
  done
}
