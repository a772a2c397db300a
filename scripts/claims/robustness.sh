# The same network after naive PTQ, the best PTQ within the bytes of QAT, QAT, QAT with noise, and QAT for the target, on noisy chips.
# shellcheck shell=bash disable=SC2154

noise=(--set quant.weight_noise=0.05 --set quant.device_noise=0.05)

quick() {
  network plain
  mapfile -t start < <(from plain)
  network noise "${start[@]}" "${noise[@]}"
  # Sixteen bits of state and activations have no dead band, so only noise remains.
  run "$networks/ptq16" quantize "$networks/plain/float.safetensors" --set quant.preset=w8a16s16 \
    "${sample[@]}"
  fit "$networks" "${sample[@]}"
  test_chips "$1/sample" "$networks" ptq fitted ptq16 qat noise -- "${tested[@]}" "${chips[@]}"
}

full() {
  retrain=(--set qat.epochs=4 --set qat.learning_rate=0.008)
  train_and_test "$1" mnist "$root/configs/smnist-small.toml" "$mnist" \
    --set simulate.chips=20 --set simulate.sequences=200
  retrain=()
  [[ -z $fsdd ]] || train_and_test "$1" fsdd "$root/configs/fsdd.toml" "$fsdd" \
    --set simulate.chips=20
}

# fit NETWORKS OPTION...: the fair baseline of the network that was trained with QAT.
fit() {
  fitted "$1/fitted" "$1/plain/float.safetensors" "$(pick bytes "$1/plain")" "${@:2}"
}

# train_and_test DIRECTORY NAME CONFIG DATA SETTING...: one data set, with its own networks.
train_and_test() {
  local name=$2 own=$networks/$2 config=(--config "$3" --data "$4") target start shared=()
  run "$own/plain" train "${config[@]}"
  start=(--set "run.start=$own/plain/float.safetensors" "${retrain[@]}")
  [[ $name != mnist ]] || shared=("${held_out[@]}")
  fit "$own" --data "$4" "${shared[@]}"
  run "$own/noise" train "${config[@]}" "${start[@]}" "${noise[@]}"
  for target in "${targets[@]}"; do
    run "$own/$target" train "${config[@]}" "${start[@]}" --target "$target"
  done
  test_chips "$1/$name" "$own" ptq fitted qat noise target -- --data "$4" "${@:5}"
  # Drift that differs from device to device: trained for an old chip, and on more cells per weight.
  run "$own/pcm-1y" train "${config[@]}" "${start[@]}" --target pcm --set simulate.times=1y
  for cells in 1 4; do
    run "$1/$name/years/$cells" simulate "$own/pcm-1y/qat.safetensors" --target pcm \
      --set "crossbar.slices=$cells" --times "0 1h 1d 30d 1y" --data "$4" "${@:5}"
  done
}

# test_chips DIRECTORY NETWORKS KIND... -- OPTION...: every kind of training on cells with several
# noise levels, and on the shipped targets.
test_chips() {
  local directory=$1 own=$2 level target kind model kinds=()
  shift 2
  while [[ $1 != -- ]]; do
    kinds+=("$1")
    shift
  done
  shift
  for kind in "${kinds[@]}"; do
    for level in "${levels[@]}"; do
      [[ $kind != target ]] || break
      model=$(model_of "$own" "$kind")
      run "$directory/noise/$kind/$level" simulate "$model" --target ideal \
        --set "device.programming_noise=$level" "$@"
    done
    for target in "${targets[@]}"; do
      model=$(model_of "$own" "$kind" "$target")
      run "$directory/targets/$kind/$target" simulate "$model" --target "$target" \
        --times "0 1d" "$@"
    done
  done
}

# model_of NETWORKS KIND [TARGET]
model_of() {
  case $2 in
    ptq) echo "$1/plain/ptq.safetensors" ;;
    fitted) echo "$1/fitted/ptq.safetensors" ;;
    ptq16) echo "$1/ptq16/ptq.safetensors" ;;
    qat) echo "$1/plain/qat.safetensors" ;;
    noise) echo "$1/noise/qat.safetensors" ;;
    target) echo "$1/$3/qat.safetensors" ;;
  esac
}
