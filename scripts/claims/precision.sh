# Networks of several sizes at several precisions, and one network at every number of bits: naive
# PTQ, the best PTQ within the same bytes, QAT, and QAT with a noise-shaped state.
# shellcheck shell=bash disable=SC2154

quick() {
  local file=$root/configs/sweeps/size-precision-sample.toml
  local small=(--set model.channels=10 --set model.layers=2 "${shape[@]}")
  [[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || file=$root/scripts/claims/tiny-sweep.toml
  run "$1/sweep" sweep "$file"
  run "$networks/float" train --config "$root/configs/smnist-small.toml" "${sample[@]}" \
    "${small[@]}" "${floats[@]}" --set run.quantize=false
  bits "$1" "$networks/float/float.safetensors" "${sample[@]}" "${held_out[@]}" -- "${small[@]}" \
    "${rounded[@]}"
}

full() {
  run "$1/sweep" sweep "$root/configs/sweeps/size-precision.toml" --data "$mnist"
  local float
  mnist_float
  bits "$1" "$float" --data "$mnist" "${held_out[@]}" --
}

# bits DIRECTORY FLOAT DATA-OPTION... -- OPTION...: options of the sweeps after those of the data.
bits() {
  local directory=$1 float=$2 data=() size sizes
  shift 2
  while [[ $1 != -- ]]; do
    data+=("$1")
    shift
  done
  shift
  # Powers of two as scales of activations cost accuracy with 3 bits (docs/quantization.md, few bits).
  local sweep=(sweep "$root/configs/sweeps/ptq-qat.toml" "${data[@]}" "$@" --set "run.start=$float"
    --set quant.scales=free)
  run "$directory/bits" "${sweep[@]}"
  run "$directory/shaped" "${sweep[@]}" --set quant.state.residue_bits=6
  sizes=$(pick sizes "$directory/bits") # apart, so that a failure ends the claim
  for size in $sizes; do
    fitted "$directory/fitted/$size" "$float" "$size" "${data[@]}"
  done
}
