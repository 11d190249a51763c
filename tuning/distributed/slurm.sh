#!/bin/bash
# A search on a Slurm cluster: task 0 of the array is the chief, each other task is a worker.
#
#   sbatch --export=ALL,APP=sentiment,DATA=$PWD/reviews.csv tuning/distributed/slurm.sh
#
# Submit it in a folder that all nodes share; PYTHON names the Python that has the package, unless
# `python` does. The same command goes on with a search that ran into the time limit. Nodes of the
# cluster reach the chief without a password.

#SBATCH --job-name=tuning
#SBATCH --array=0-4
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=08:00:00
#SBATCH --signal=INT@120
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail

app=${APP:-sentiment}
data=${DATA:-sample}
search=${SEARCH:-$PWD/searches/$app}
minutes=${MINUTES:-450}
port=${PORT:-8400}
python=${PYTHON:-python}
# Beside the folder of the search, which has to be empty when the search begins.
where=$search.chief
over="over $SLURM_ARRAY_JOB_ID"

if ((SLURM_ARRAY_TASK_ID == 0)); then
    mkdir -p "$(dirname "$search")"
    echo "$(hostname):$port" >"$where"
    srun "$python" -m tuning "$app" --data "$data" --minutes "$minutes" --run "$search" --resume \
        --workers 0 --listen "0.0.0.0:$port"
    echo "$over" >"$where"
    exit
fi

while true; do
    # What an earlier job has left there says nothing about this one.
    until [[ -s $where ]] && chief=$(<"$where") && [[ $chief != over* || $chief == "$over" ]]; do
        sleep 5
    done
    [[ $chief != "$over" ]] || exit 0
    code=0
    srun "$python" -m tuning worker --chief "$chief" --id "worker-$SLURM_ARRAY_TASK_ID" \
        --threads "${SLURM_CPUS_PER_TASK:-1}" --patience 300 || code=$?
    # 0: the search is over. 130: the time limit is near, and the trial has been given back.
    ((code != 0 && code != 130)) || exit "$code"
    # The worker was killed, or the chief came back on another node.
    sleep 10
done
