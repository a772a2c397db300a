# Networks of several sizes at several precisions, and one network at every number of bits, PTQ and
# QAT.
# shellcheck shell=bash disable=SC2154

quick() {
  local file=$root/configs/sweeps/size-precision-sample.toml
  [[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || file=$root/scripts/claims/tiny-sweep.toml
  run "$1/sweep" sweep "$file"
  bits "$1" "${sample[@]}" --set model.channels=10 --set model.layers=2 "${shape[@]}" \
    "${floats[@]}" "${rounded[@]}"
}

full() {
  run "$1/sweep" sweep "$root/configs/sweeps/size-precision.toml" --data "$mnist"
  bits "$1" --data "$mnist"
}

# bits DIRECTORY OPTION...
bits() { run "$1/bits" sweep "$root/configs/sweeps/ptq-qat.toml" "${@:2}"; }
