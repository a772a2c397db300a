# Shared by the claims; sourced by scripts/reproduce, which sets program, resume, threads, seed,
# networks, mnist and fsdd. Each claim defines quick and full, which take its directory.
# shellcheck shell=bash disable=SC2034,SC2154

# Data of the quick forms and of tests: for training commands, and for testing commands.
sample=() tested=()
# A network of the built-in sample, its float training and QAT, and the chips
# and targets that it is tested on.
shape=(--set model.states=8 --set model.dt_min=0.003)
floats=(--set train.epochs=8)
rounded=(--set qat.epochs=8 --set qat.learning_rate=0.01 --set qat.range_rate=0.003
  --set qat.average=0.98)
chips=(--set simulate.chips=3 --set simulate.sequences=200)
retrain=(--set qat.epochs=2 --set qat.average=0.9)
search=() # of formats after training; the quick forms compare them on fewer sequences
[[ $form == full ]] || search=(--sequences 128)
# What the configurations of sequential MNIST hold out; formats are compared on the same images.
held_out=(--set train.validation=0.05)
levels=(0 0.02 0.05 0.1 0.2)
targets=(generic-64x64 hermes neurram pcm rram-cmo sonos taox-64x64)
if [[ -n ${CROSSTATE_REPRODUCE_TINY:-} ]]; then # for tests: seconds, and no meaning
  tested=(--set data.test_limit=64)
  sample=(--set data.train_limit=160 "${tested[@]}")
  shape=(--set model.channels=4 --set model.states=4 --set model.layers=1)
  floats=(--set train.batch=32 --set train.epochs=1)
  rounded=(--set qat.batch=32 --set qat.epochs=1 --set run.calibration=32)
  chips=(--set simulate.chips=2 --set simulate.sequences=8)
  retrain=(--set qat.epochs=1 --set prune.batches=1 --set qat.batch=32)
  search=(--sequences 16)
  levels=(0 0.1) targets=(generic-64x64 rram-cmo)
fi

# Marks everything under a directory as unfinished.
forget() { [[ ! -d $1 ]] || find "$1" -name command.txt -delete; }

# Whether a command's --resume continues what was interrupted.
continues() { [[ " train prune simulate sweep search " == *" $1 "* ]]; }

# contents ARGUMENT...: the checksum of every file that the arguments name, as FILE or as KEY=FILE, and
# of the file that one of them, that of a sweep, has as its base.
contents() {
  local argument file base
  for argument; do
    file=${argument#*=}
    [[ -f $file ]] || continue
    cksum "$file"
    [[ $file == *.toml ]] || continue
    base=$(sed -n 's/^base = "\(.*\)"$/\1/p' "$file")
    [[ -z $base ]] || cksum "$(dirname "$file")/$base"
  done
}

# run DIRECTORY COMMAND ARGUMENT...: runs a command of the program with that --out, unless the same
# one is finished there, on files of the same contents; command.txt and contents.txt say which, and
# are written last. What is not finished is continued with --resume, if the command can; results of
# other contents, and what cannot be continued, are replaced: scripts/reproduce has asked before.
run() {
  local directory=$1 again=(--overwrite) limit=(--threads "$threads") seeded=(--seed "$seed")
  shift
  case $1 in # each takes the options that it has a use for
    sweep)
      limit=(--workers "$((threads > 0 ? threads : $(nproc)))")
      ! grep -q '^"run.seed"' "$2" || seeded=() ;; # it has seeds of its own
    eval) seeded=() ;;
    deploy) limit=() ;;
    cost | break-even) seeded=() limit=() ;;
  esac
  local line="crosstate $*${seeded:+ ${seeded[*]}}"
  local files
  files=$(contents "$@")
  if [[ -f $directory/command.txt && $(<"$directory/command.txt") == "$line" ]]; then
    [[ ! -f $directory/contents.txt || $(<"$directory/contents.txt") != "$files" ]] || return 0
  elif $resume && continues "$1"; then
    again=(--resume)
  fi
  mkdir -p "$directory"
  rm -f "$directory/command.txt"
  echo "== $line" >&2
  "$program" "$@" "${seeded[@]}" --out "$directory" "${limit[@]}" "${again[@]}" >"$directory/output.txt"
  printf '%s\n' "$files" >"$directory/contents.txt"
  printf '%s\n' "$line" >"$directory/command.txt"
}

# network NAME SETTING...: a network of the quick forms, with float training and QAT,
# or only one of them, according to the settings.
network() {
  local settings=("${shape[@]}")
  [[ " ${*:2} " == *" run.start="* ]] || settings+=("${floats[@]}")
  [[ " ${*:2} " == *" run.quantize=false "* ]] || settings+=("${rounded[@]}")
  run "$networks/$1" train "${sample[@]}" "${settings[@]}" "${@:2}"
}

# Settings of a network that is quantized again from the float one of another.
from() { printf '%s\n' --set "run.start=$networks/$1/float.safetensors"; }

# mnist_float: sets `float` to the float network of sequential MNIST: that in models/ or, since the
# seed decides which images are held out, with another seed than its own one that is trained likewise.
mnist_float() {
  float=$root/models/smnist.float.safetensors
  ((seed != 1)) || return 0
  run "$networks/smnist-float" train --config "$root/configs/smnist-small.toml" --data "$mnist" \
    --set run.quantize=false
  float=$networks/smnist-float/float.safetensors
}

# fitted DIRECTORY FLOAT BYTES OPTION...: the best that quantization without training finds for a
# float network within so many bytes.
fitted() { run "$1" quantize "$2" --bytes "$3" "${search[@]}" "${@:4}"; }

# smaller NETWORKS FLOAT OPTION...: makes float networks NETWORKS/smaller-S-C, one for each of the
# `fractions` of states and channels that are pruned, retrained with the options, and
# NETWORKS/fitted-S-C, `formats` formats of each without training. `split`: what they held out, if it
# is not what training holds out by default. `goal`: the points that the most precise format may lose
# at most, so that formats of more than 8 bits are not searched where a held-out set is small.
split=() goal=3
smaller() {
  local pair pruned
  for pair in "${fractions[@]}"; do
    pruned=$1/smaller-${pair/ /-}
    run "$pruned" prune "$2" "${data[@]}" "${@:3}" --set run.quantize=false \
      --set "prune.states=${pair% *}" --set "prune.channels=${pair#* }"
    run "$1/fitted-${pair/ /-}" quantize "$pruned/pruned.safetensors" --front "$formats" \
      --loss "$goal" "${search[@]}" "${data[@]}" "${split[@]}"
  done
}

# pick WHAT PATH...: an answer from finished results.
pick() { python3 "$root/scripts/claims/pick.py" "$@"; }
