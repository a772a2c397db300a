# Bytes and bit operations against accuracy: fronts of PTQ, with noise-shaped states among its
# choices, of a float network and of pruned ones; QAT with a noise-shaped state at several
# precisions, and QAT of the pruned networks in the smallest format of PTQ of each.
# shellcheck shell=bash disable=SC2154

# The residue that states of few bits need; poles and scales of weights that take few bytes. Scales of
# activations are so few that free ones cost next to nothing.
kept=(--set quant.state.residue_bits=8 --set quant.weight_scales=pow2 --set quant.scales=free
  --set quant.a.coding=increment --set quant.a.bits=6)
learned=(--set quant.c.learned=true --set quant.weight.learned=true)

quick() {
  network plain
  local data=("${sample[@]}") test_data=("${tested[@]}") formats=6 presets=(w2a4s4 w4a4s4)
  local fractions=("0.5 0.25") again=("${retrain[@]}") of_model=("${shape[@]}")
  [[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || formats=2 presets=(w4a4s4)
  front "$1" sample "$networks/plain/float.safetensors" "${rounded[@]}"
}

# The networks of the configurations; that of sequential MNIST is in models/.
full() {
  local data test_data shared=() formats=10 presets=(w2a4s4 w3a4s4 w4a4s4) fractions again float
  local of_model=() divided=()
  fractions=("0.5 0.25" "0.75 0.4" "0.875 0.5" "0.9375 0.6")
  again=(--config "$root/configs/fsdd.toml" --set qat.epochs=80)
  [[ -z $fsdd ]] || trained "$1" fsdd "$root/configs/fsdd.toml" "$fsdd"
  fractions=("0.3 0.15" "0.5 0.3" "0.65 0.45" "0.8 0.5")
  again=(--config "$root/configs/gsc.toml" --set qat.epochs=150)
  divided=(--set data.test_share=0.2) # a directory that has parts keeps them
  [[ -z $gsc ]] || trained "$1" gsc "$root/configs/gsc.toml" "$gsc" --set qat.epochs=250
  divided=()
  [[ -n $mnist ]] || return 0
  data=(--data "$mnist" "${held_out[@]}") test_data=(--data "$mnist")
  fractions=("0.6 0.3" "0.7 0.45" "0.8 0.5" "0.8 0.6")
  again=(--config "$root/configs/smnist-pruned.toml")
  mnist_float
  front "$1" mnist "$float" --config "$root/configs/smnist-small.toml" --set qat.distill=0.5 \
    --set qat.average=0.999
  shared=("${held_out[@]}") fractions=() presets=(psmnist.toml)
  trained "$1" psmnist "$root/configs/psmnist.toml" "$mnist"
}

# trained DIRECTORY NAME CONFIG DATA OPTION...: the front of a network that is trained first. `shared`
# are options of training and of quantize, `divided` those that every command needs to find the same
# test set.
trained() {
  local config=(--config "$3" "${@:5}")
  test_data=(--data "$4" "${divided[@]}") data=("${test_data[@]}" "${shared[@]}")
  run "$networks/$2/float" train --config "$3" "${data[@]}" --set run.quantize=false
  front "$1" "$2" "$networks/$2/float/float.safetensors" "${config[@]}"
}

# front DIRECTORY NAME FLOAT OPTION...: options of QAT. Uses data, test_data, formats, presets (of one
# that is named FILE.toml, the format is in the options), the options `of_model` of the float network,
# and the fractions that are pruned, with the options `again` of training after it.
front() {
  local directory=$1/$2 own=$networks/$2 preset model pair found pruned format
  local kinds=(float) models=("$3")
  run "$own/fitted" quantize "$3" --front "$formats" --loss "$goal" "${search[@]}" "${data[@]}"
  found=$(pick front "$own/fitted") # apart, so that a failure ends the claim
  for model in $found; do
    kinds+=("PTQ, best") models+=("$own/fitted/$model")
  done
  smaller "$own" "$3" "${again[@]}"
  for pair in "${fractions[@]}"; do
    found=$(pick front "$own/fitted-${pair/ /-}")
    for model in $found; do
      kinds+=("PTQ, best, pruned by ${pair/ /, }") models+=("$own/fitted-${pair/ /-}/$model")
    done
    model=$(pick cheapest "$own/fitted-${pair/ /-}")
    pruned=$own/qat-${pair/ /-}
    run "$pruned" prune "$own/smaller-${pair/ /-}/pruned.safetensors" "${@:4}" "${data[@]}" \
      --config "$own/fitted-${pair/ /-}/${model%.safetensors}.toml" "${learned[@]}" \
      --set prune.states=0 --set prune.channels=0
    kinds+=("QAT, a format of PTQ, pruned by ${pair/ /, }") models+=("$pruned/pruned.safetensors")
  done
  for preset in "${presets[@]}"; do
    format=(--set "quant.preset=$preset" "${kept[@]}")
    [[ $preset != *.toml ]] || format=()
    run "$own/qat/$preset" train "${@:4}" "${of_model[@]}" "${data[@]}" --set "run.start=$3" \
      "${format[@]}"
    kinds+=("QAT, $preset") models+=("$own/qat/$preset/qat.safetensors")
  done
  run "$directory/eval/0" eval "$3" "${test_data[@]}"
  for ((model = 1; model < ${#models[@]}; ++model)); do
    run "$directory/eval/$model" eval "${models[model]}" --backend integer "${test_data[@]}"
  done
  run "$directory/cost" cost "${models[@]}" --target accelerator-45nm "${test_data[@]}"
  printf '%s\n' "${kinds[@]}" >"$directory/kinds.txt"
}
