# Networks of several sizes at several precisions.
# shellcheck shell=bash disable=SC2154

quick() {
  local file=$root/configs/sweeps/size-precision-sample.toml
  [[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || file=$root/scripts/claims/tiny-sweep.toml
  run "$1/sweep" sweep "$file"
}

full() { run "$1/sweep" sweep "$root/configs/sweeps/size-precision.toml" --data "$mnist"; }
