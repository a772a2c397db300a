# Energy of networks on arrays over that of the same networks on a digital accelerator at the same
# node, by width, bits and the sites that are digital; and above how many rows a column pays.
# Energies follow from sizes and bits, so the networks are hardly trained.
# shellcheck shell=bash disable=SC2154

widths=(16 32 64 128 256) formats=(w8a8s8 w4a4s8 w2a4s8) rows=64
[[ -z ${CROSSTATE_REPRODUCE_TINY:-} ]] || widths=(4 8) formats=(w8a8s8 w4a4s8)
# A time step does the same work in every sequence: no data are needed, only their length.
steps=(--set cost.steps=784)
energy_targets=(--target crossbar-14nm --target crossbar-32nm --target crossbar-130nm
  --target crossbar-180nm-taox)
macro=$root/scripts/claims/digital-macro.toml

quick() {
  local data=("${sample[@]}")
  price "$1"
}

full() {
  local data=(--data "$mnist")
  price "$1"
}

# price DIRECTORY: trains on the data of the caller.
price() {
  local directory=$1 format width models bits half=$1/half-control.toml
  local brief=(--set model.states=8 --set model.layers=3 --set train.epochs=1 --set qat.epochs=1
    --set data.train_limit=64 --set data.test_limit=64)
  # Clock and registers of the accelerator are assumed: with half of their low end.
  awk '/^\[/ { section = $0 } section == "[control]" && /^low/ { $3 /= 2 } { print }' \
    "$root/data/technology/accelerator-45nm.toml" >"$half"
  for format in "${formats[@]}"; do
    models=()
    for width in "${widths[@]}"; do
      run "$networks/energy/$format-$width" train "${data[@]}" "${brief[@]}" \
        --set "model.channels=$width" --set "quant.preset=$format"
      models+=("$networks/energy/$format-$width/qat.safetensors")
    done
    same_node "$directory/cost/$format/all-analog" "${models[@]}"
    same_node "$directory/cost/$format/a" "${models[@]}" --set crossbar.digital=A
    same_node "$directory/cost/$format/all-but-pointwise" "${models[@]}" \
      --set crossbar.digital="encoder, decoder, A, C"
    same_node "$directory/half-control/$format" "${models[@]}" --set cost.accelerator="$half" \
      --set crossbar.digital="encoder, decoder, A, C"
    # A rival whose products lie beside the weights.
    same_node "$directory/macro/$format" "${models[@]}" --set cost.accelerator="$macro" \
      --set cost.weights=nonvolatile --set crossbar.digital="encoder, decoder, A, C"
  done
  # A wide network on arrays, and the smallest one that reaches 99 %, digitally.
  same_node "$directory/equal" "$networks/energy/w4a4s8-${widths[-2]}/qat.safetensors" \
    "$root/models/smnist-pruned-w4.safetensors" --set crossbar.digital="encoder, decoder, A, C"
  for bits in "8 8 8" "8 8 6" "4 8 8" "2 8 8" "4 4 8" "4 4 6" "4 4 4" "2 4 8" "2 4 6" "2 4 4"; do
    fan_in "$directory/fan-in/${bits// /-}" "$bits"
    fan_in "$directory/fan-in-macro/${bits// /-}" "$bits" --accelerator "$macro" \
      --set fan_in.weights=nonvolatile
  done
}

# same_node DIRECTORY OPTION...: prices models on the arrays of all targets.
same_node() { run "$1" cost "${@:2}" "${energy_targets[@]}" --same-node "${steps[@]}"; }

# fan_in DIRECTORY "WEIGHT INPUT OUTPUT" OPTION...: bits, and the rows above which a column pays.
fan_in() {
  local directory=$1 weight input output
  read -r weight input output <<<"$2"
  run "$directory" break-even --set "fan_in.weight_bits=$weight" --set "fan_in.input_bits=$input" \
    --set "fan_in.output_bits=$output" --set "fan_in.rows=$rows" "${@:3}"
}
