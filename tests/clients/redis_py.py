"""A program that writes to a cluster with redis-py, whatever happens to the cluster. Arguments: the ports of three primaries
and of their replicas, in this order.

While it writes, redis-cli moves slots, and then a primary ends without waiting for its replica. What may be lost is what was
acknowledged between the last moment at which the replica was known to have everything and the end of the primary; nothing else.
"""

import subprocess
import sys
import threading
import time

import redis
from redis.cluster import RedisCluster

PORTS = [int(port) for port in sys.argv[1:]]
KEYS = 300
PATIENCE = 30


class Writer(threading.Thread):
    """Writes rising numbers to keys in turn, and remembers what was acknowledged."""

    def __init__(self):
        super().__init__(daemon=True)
        self.client = RedisCluster(host="127.0.0.1", port=PORTS[0])
        self.ended = threading.Event()
        self.lock = threading.Lock()
        # By key: the number, and when its write began.
        self.acknowledged = {}
        self.refused = []

    def run(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            key, began = f"cart:{number % KEYS}", time.monotonic()
            try:
                self.client.set(key, number)
            except (redis.RedisError, OSError) as error:
                self.refused.append(type(error).__name__)
                continue
            with self.lock:
                self.acknowledged[key] = (number, began)

    def so_far(self):
        with self.lock:
            return dict(self.acknowledged)

    def writes(self):
        return max((number for number, _ in self.so_far().values()), default=0)


def wait_for(what, done):
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"{what}: not in {PATIENCE} s"
        time.sleep(0.02)


def more_writes(writer, count):
    begin = writer.writes()
    wait_for(f"{count} writes", lambda: writer.writes() >= begin + count)


def node(port):
    return redis.Redis(port=port, decode_responses=True)


def move_slots(writer):
    ids = [node(port).execute_command("CLUSTER MYID") for port in PORTS[:2]]
    options = ["--cluster-slots", "60", "--cluster-yes"]
    begin = writer.writes()
    reshard = ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{PORTS[0]}", "--cluster-from", ids[0], "--cluster-to", ids[1]]
    subprocess.run(reshard + options, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    print(f"{writer.writes() - begin} writes while 60 slots moved, {len(writer.refused)} refused")
    assert not writer.refused, writer.refused
    assert writer.writes() > begin


def end_primary(writer):
    """What was acknowledged and on the replica, and when the primary had ended."""
    primary = node(PORTS[0])
    probe = next(f"probe:{n}" for n in range(1000) if 200 < primary.execute_command("CLUSTER KEYSLOT", f"probe:{n}") < 5000)
    known = writer.so_far()
    primary.set(probe, 1)
    assert primary.wait(1, PATIENCE * 1000) == 1
    begin = time.monotonic()
    try:
        primary.execute_command("SHUTDOWN", "NOSAVE", "NOW")
    except redis.ConnectionError:
        pass
    ended = time.monotonic()
    replica = node(PORTS[3])
    wait_for("the failover", lambda: replica.info("replication")["role"] == "master")
    lost_before = len(writer.refused)
    more_writes(writer, 3 * KEYS)
    # All keys have been written again, those of the dead primary too.
    wait_for("all keys", lambda: all(began > ended for _, began in writer.so_far().values()))
    seconds = time.monotonic() - begin
    print(f"all keys written again {seconds:.1f} s after the primary ended, {lost_before} writes refused")
    return known, ended


def main():
    writer = Writer()
    writer.start()
    wait_for("the first round", lambda: len(writer.so_far()) == KEYS)
    move_slots(writer)
    known, ended = end_primary(writer)
    in_between = writer.so_far()
    more_writes(writer, KEYS)
    writer.ended.set()
    writer.join()
    reader = RedisCluster(host="127.0.0.1", port=PORTS[1], decode_responses=True)
    for key, (number, began) in writer.so_far().items():
        value = int(reader.get(key))
        assert value >= known[key][0], f"{key} is {value}: lost {known[key][0]}, which the replica had"
        assert began < ended or value >= number, f"{key} is {value}: lost {number}, written after the failover"
    assert len(in_between) == KEYS
    print(f"{writer.writes()} writes, refused: {sorted(set(writer.refused))}")


main()
