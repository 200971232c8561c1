#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# cuda-samples.sh [OPTION]... FOLDER: compiles those of NVIDIA's CUDA samples (FOLDER is a checkout of them) that need
# neither a display nor libraries beyond cudart, unchanged, runs each, and writes a table of verdicts to stdout.
#
#   --out DIR      where the programs and what they print go (default: build/cuda-samples)
#   --only NAMES   these samples only, separated by blanks
#   --prefix CMD   run them with this before their name (default: build/bin/wormhole run --); '' runs them natively
#   --no-build     run what is in DIR already
#   --no-run       build only
#   --limit N      seconds for one sample (default: 120)
#
# A sample passes when it ends with status 0 and says nothing of failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

out=build/cuda-samples only='' prefix="$PWD/build/bin/wormhole run --" build=yes run=yes limit=120 folder=""

# Name and arguments; the arguments make those smaller that can be.
samples='
0_Introduction/asyncAPI
0_Introduction/clock
0_Introduction/cudaOpenMP
0_Introduction/fp16ScalarProduct
0_Introduction/matrixMul -wA=128 -hA=128 -wB=128 -hB=128
0_Introduction/matrixMulDrv
0_Introduction/matrixMulDynlinkJIT
0_Introduction/mergeSort
0_Introduction/simpleAWBarrier
0_Introduction/simpleAssert
0_Introduction/simpleAtomicIntrinsics
0_Introduction/simpleAttributes
0_Introduction/simpleCallback
0_Introduction/simpleCooperativeGroups
0_Introduction/simpleCubemapTexture
0_Introduction/simpleDrvRuntime
0_Introduction/simpleHyperQ
0_Introduction/simpleLayeredTexture
0_Introduction/simpleMultiCopy
0_Introduction/simpleMultiGPU
0_Introduction/simpleOccupancy
0_Introduction/simpleP2P
0_Introduction/simplePitchLinearTexture
0_Introduction/simplePrintf
0_Introduction/simpleStreams
0_Introduction/simpleSurfaceWrite
0_Introduction/simpleTemplates
0_Introduction/simpleTexture
0_Introduction/simpleTextureDrv
0_Introduction/simpleVoteIntrinsics
0_Introduction/simpleZeroCopy
0_Introduction/systemWideAtomics
0_Introduction/template
0_Introduction/vectorAdd
0_Introduction/vectorAddDrv
0_Introduction/vectorAddMMAP
1_Utilities/deviceQuery
1_Utilities/deviceQueryDrv
1_Utilities/topologyQuery
2_Concepts_and_Techniques/MC_EstimatePiInlineP
2_Concepts_and_Techniques/MC_SingleAsianOptionP
2_Concepts_and_Techniques/convolutionSeparable
2_Concepts_and_Techniques/convolutionTexture
2_Concepts_and_Techniques/dct8x8
2_Concepts_and_Techniques/eigenvalues -matrix-size=256
2_Concepts_and_Techniques/histogram
2_Concepts_and_Techniques/inlinePTX
2_Concepts_and_Techniques/radixSortThrust -n=20000
2_Concepts_and_Techniques/reduction --n=65536
2_Concepts_and_Techniques/reductionMultiBlockCG --n=65536
2_Concepts_and_Techniques/scalarProd
2_Concepts_and_Techniques/scan
2_Concepts_and_Techniques/segmentationTreeThrust
2_Concepts_and_Techniques/shfl_scan
2_Concepts_and_Techniques/sortingNetworks
2_Concepts_and_Techniques/streamOrderedAllocation
2_Concepts_and_Techniques/threadFenceReduction --n=65536
2_Concepts_and_Techniques/threadMigration
3_CUDA_Features/StreamPriorities
3_CUDA_Features/bf16TensorCoreGemm
3_CUDA_Features/binaryPartitionCG
3_CUDA_Features/cudaTensorCoreGemm
3_CUDA_Features/dmmaTensorCoreGemm
3_CUDA_Features/globalToShmemAsyncCopy -wA=128 -hA=128 -wB=128 -hB=128
3_CUDA_Features/graphConditionalNodes
3_CUDA_Features/graphMemoryFootprint
3_CUDA_Features/graphMemoryNodes
3_CUDA_Features/immaTensorCoreGemm
3_CUDA_Features/jacobiCudaGraphs
3_CUDA_Features/newdelete
3_CUDA_Features/ptxjit
3_CUDA_Features/simpleCudaGraphs
3_CUDA_Features/tf32TensorCoreGemm
3_CUDA_Features/warpAggregatedAtomicsCG
4_CUDA_Libraries/conjugateGradientMultiBlockCG
4_CUDA_Libraries/lineOfSight
5_Domain_Specific/BlackScholes
5_Domain_Specific/FDTD3d --dimx=32 --dimy=32 --dimz=32 --timesteps=2
5_Domain_Specific/HSOpticalFlow
5_Domain_Specific/NV12toBGRandResize
5_Domain_Specific/SobolQRNG 2000 20
5_Domain_Specific/binomialOptions
5_Domain_Specific/dwtHaar1D
5_Domain_Specific/dxtc
5_Domain_Specific/fastWalshTransform
5_Domain_Specific/p2pBandwidthLatencyTest
5_Domain_Specific/quasirandomGenerator
5_Domain_Specific/stereoDisparity
6_Performance/LargeKernelParameter
6_Performance/UnifiedMemoryPerf
6_Performance/alignedTypes
6_Performance/cudaGraphsPerfScaling
6_Performance/transpose -dimX=128 -dimY=128
'

usage() {
    sed -n '3,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --out | --only | --prefix | --limit)
        [ $# -ge 2 ] || usage
        declare "${1#--}=$2"
        shift
        ;;
    --no-build) build=no ;;
    --no-run) run=no ;;
    -*) usage ;;
    *) folder=$1 ;;
    esac
    shift
done
[ "$build" = no ] || [ -d "$folder/Samples" ] || usage
cuda=${CUDA_HOME:-/usr/local/cuda}
mkdir -p "$out" && out=$(realpath "$out") || exit 1

# sources CMAKELISTS: the files that the sample's executable is made of.
sources() {
    tr '\n' ' ' <"$1" | grep -o 'add_executable([^)]*)' | head -n 1 | sed 's/add_executable( *[^ ]* *//; s/)//'
}

# compile NAME: into $out/NAME/, with what it loads when it runs beside it.
compile() {
    local from=$folder/Samples/$1 to=$out/${1##*/} libraries=() extra=() file virtual=75
    mkdir -p "$to"
    [[ $1 != *TensorCoreGemm ]] || virtual=80 # below, these compile to nothing
    local arch=(-gencode "arch=compute_$virtual,code=compute_$virtual" -gencode 'arch=compute_90,code=sm_90')
    grep -q 'CUDA::cuda_driver\|-lcuda\b' "$from/CMakeLists.txt" && libraries=("-L$cuda/lib64/stubs" -lcuda)
    grep -q OpenMP "$from/CMakeLists.txt" && extra=(-Xcompiler -fopenmp)
    grep -q 'add_executable.*multithreading' "$from/CMakeLists.txt" && libraries+=(-lpthread)
    [ ! -d "$from/data" ] || cp -r "$from/data" "$to/" || return
    for file in "$from"/*_kernel.cu; do # those that load a code file of this name
        [ -e "$file" ] || continue
        file=${file##*/}
        if grep -qr "${file%.cu}64.fatbin" "$from"/*.c*; then
            "$cuda/bin/nvcc" -I"$folder/Common" "${arch[@]}" -fatbin -o "$to/${file%.cu}64.fatbin" "$from/$file" ||
                return
        elif grep -qr "${file%.cu}64.ptx" "$from"/*.c*; then
            "$cuda/bin/nvcc" -I"$folder/Common" -arch=compute_75 -ptx -o "$to/${file%.cu}64.ptx" "$from/$file" || return
        fi
    done
    # shellcheck disable=SC2046 # the names are words
    (cd "$from" && "$cuda/bin/nvcc" -std=c++17 --extended-lambda -w "${extra[@]}" "${arch[@]}" -I"$folder/Common" -Iinc \
        -o "$to/${1##*/}" $(sources CMakeLists.txt) "${libraries[@]}")
}

# verdict STATUS FILE
verdict() {
    case $1 in
    124 | 137) echo "no end within $limit s" ;;
    0) if grep -qE 'FAIL|[Tt]est failed|mismatch' "$2"; then echo 'says it failed'; else echo passed; fi ;;
    2) if grep -qi 'waiv\|not supported' "$2"; then echo 'waived by the sample'; else echo 'failed, status 2'; fi ;;
    *) echo "failed, status $1" ;;
    esac
}

passed=0 total=0
folder=${folder:+$(realpath "$folder")}
echo "| Sample | Arguments | Verdict | Seconds |"
echo "| --- | --- | --- | --- |"
while read -r path arguments <&3; do
    [ -n "$path" ] || continue
    name=${path##*/}
    [ -z "$only" ] || [[ " $only " == *" $name "* ]] || continue
    if [ "$build" = yes ] && ! compile "$path" >"$out/$name.build" 2>&1; then
        echo "| $path | | cannot be compiled | |"
        continue
    fi
    if [ "$run" = no ] || [ ! -x "$out/$name/$name" ]; then
        continue
    fi
    start=$(date +%s)
    # shellcheck disable=SC2086 # prefix and arguments are words
    (cd "$out/$name" && timeout --kill-after=5 "$limit" $prefix "./$name" $arguments) >"$out/$name.out" 2>&1 </dev/null
    status=$?
    result=$(verdict $status "$out/$name.out")
    total=$((total + 1))
    [ "$result" = passed ] && passed=$((passed + 1))
    echo "| $path | $arguments | $result | $(($(date +%s) - start)) |"
done 3<<<"$samples"
echo
echo "$passed of $total passed"
