"""What programs do with one server through redis-py's default client, told line by line: two servers that behave alike make
this print the same. Arguments: the protocol (2 or 3), a port, and the command that serves on that port.

The server runs already, and is ended and started again once. No line tells of what differs from run to run: times, ids, ports.
"""

import subprocess
import sys
import threading
import time

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

PROTOCOL, PORT, SERVE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
PATIENCE = 20


def client(**options):
    options.setdefault("decode_responses", True)
    return redis.Redis(port=PORT, protocol=PROTOCOL, **options)


def tell(what, *facts):
    print(what + ":", *(repr(fact) for fact in facts), flush=True)


def refused(what, call, *words, **options):
    """Tells how a call is refused."""
    try:
        tell(what, call(*words, **options))
    except redis.RedisError as error:
        tell(what, type(error).__name__, str(error))


def wait_for(what, done):
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"{what}: not in {PATIENCE} s"
        time.sleep(0.01)


def field(info, name):
    """A field of what is a dictionary in one protocol and may be a list of pairs in the other."""
    return info[name] if isinstance(info, dict) else dict(zip(info[::2], info[1::2]))[name]


def types(r):
    tell("hset", r.hset("user:123", mapping={"name": "Ada", "city": "London"}), r.hgetall("user:123"))
    tell("zadd", r.zadd("board", {"Ada": 1.5, "Bob": 2, "Eve": float("inf")}))
    tell("zrange", r.zrange("board", 0, -1, withscores=True))
    tell("zscore", r.zscore("board", "Ada"), r.zscore("board", "none"), r.zmscore("board", ["Bob", "none"]))
    tell("sets", r.sadd("tags", "a", "b"), sorted(r.smembers("tags")), r.smismember("tags", ["a", "x"]))
    tell("set", r.set("a", "1", nx=True, ex=100), r.set("a", "2", nx=True), r.set("a", "3", get=True), r.ttl("a"))
    tell("floats", r.incrbyfloat("f", 1.5), r.hincrbyfloat("user:123", "height", 1.75), r.geoadd("city", (2.35, 48.85, "Paris")))
    tell("geo", [[round(each, 4) for each in place] for place in r.geopos("city", "Paris")])
    refused("wrong type", r.incr, "user:123")
    refused("unknown", r.execute_command, "NOSUCH", "x")
    refused("arity", r.execute_command, "GET")
    tell("lpos", r.rpush("list", *"abcab"), r.lpos("list", "b", count=0), r.lmpop(1, "list", direction="LEFT", count=2))
    tell("config", r.config_get("maxmemory-policy"), r.config_set("maxmemory-policy", "noeviction"))
    tell("object", r.object("encoding", "f"), r.object("encoding", "board"), r.type("board"), r.exists("a", "a", "none"))
    tell("time", len(r.time()), r.echo("x"), r.ping())
    tell("info", r.info("keyspace")["db0"]["keys"], r.info("server")["redis_mode"], r.info("replication")["role"])
    tell("raw", client(decode_responses=False).hget("user:123", "name"))
    tell("bytes", client(decode_responses=False).set("bin", b"\x00\xff\r\n"), client(decode_responses=False).get("bin"))


def pipelines(r):
    with r.pipeline(transaction=False) as pipe:
        for number in range(500):
            pipe.set(f"page:{number}", number)
        replies = pipe.get("page:499").dbsize().execute()
        tell("pipeline", len(replies), set(replies[:500]), replies[500])
        pipe.set("a", "x").incr("a").get("a")
        tell("errors in a pipeline", [str(reply) for reply in pipe.execute(raise_on_error=False)])
        pipe.set("a", "x").incr("a").get("a")
        refused("raised", pipe.execute)
    with r.pipeline() as pipe:
        tell("transaction", pipe.incr("visits").incr("visits").hgetall("user:123").execute())
        pipe.set("a", "x").incr("a").get("a")
        tell("errors in a transaction", [str(reply) for reply in pipe.execute(raise_on_error=False)])
        pipe.execute_command("GET")
        pipe.get("a")
        refused("aborted", pipe.execute)
        tell("empty", pipe.execute())
    tries = []

    def take(pipe):
        stock = int(pipe.get("stock:42") or 0)
        tries.append(stock)
        if len(tries) == 1:
            r.set("stock:42", 10)
        pipe.multi()
        pipe.decr("stock:42")

    tell("watch", r.transaction(take, "stock:42"), tries)
    with r.pipeline() as pipe:
        pipe.watch("a")
        r.set("a", "theirs")
        pipe.multi()
        pipe.set("a", "ours")
        refused("watch error", pipe.execute)
        tell("unwatched", r.get("a"))


def scripts(r):
    add = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    tell("script", add(keys=["n"], args=[5]), add(keys=["n"], args=[5]))
    r.script_flush()
    refused("no script", r.evalsha, add.sha, 1, "n", 1)
    tell("loaded again", add(keys=["n"], args=[1]), r.script_exists(add.sha, "0" * 40))
    with r.pipeline() as pipe:
        add(keys=["n"], args=[2], client=pipe)
        tell("in a pipeline", pipe.execute())
    tell("eval", r.eval("return {1, 2.9, 'x', false, {ok='fine'}}", 0), r.eval("return {double=3.5}", 0))
    refused("error in a script", r.eval, "return redis.error_reply('MY own')", 0)
    refused("call fails", r.eval, "return redis.call('INCR', 'user:123')", 0)
    tell("read only", r.eval_ro("return redis.call('GET', KEYS[1])", 1, "n"))
    refused("writes", r.eval_ro, "return redis.call('SET', KEYS[1], 1)", 1, "n")
    code = "#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)"
    tell("function", r.function_load(code, replace=True), r.fcall("twice", 0, 21), r.function_delete("lib"))


def locks(r):
    first, second = r.lock("lock:42", timeout=30), r.lock("lock:42", timeout=30, blocking_timeout=0.1)
    tell("lock", first.acquire(), second.acquire(), first.locked(), second.owned(), first.owned())
    tell("lives", first.extend(10), 30_000 < r.pttl("lock:42") <= 40_000, first.reacquire(), r.pttl("lock:42") <= 30_000)
    refused("not mine", second.release)
    waiting = r.lock("lock:42", timeout=30, sleep=0.01, blocking_timeout=PATIENCE)
    worker = threading.Thread(target=lambda: tell("acquired", waiting.acquire()))
    worker.start()
    time.sleep(0.05)
    first.release()
    worker.join()
    refused("released before", first.release)
    r.delete("lock:42")
    refused("expired", waiting.extend, 10)
    short = r.lock("lock:42", timeout=0.05)
    tell("short", short.acquire())
    wait_for("the end of the lock", lambda: not short.locked())
    tell("left", r.set("lock:42", "another", px=60_000), short.owned())
    refused("another's", short.release)


def next_of(pubsub):
    message = None

    def came():
        nonlocal message
        message = pubsub.get_message(timeout=0.1)
        return message is not None

    wait_for("a message", came)
    return [message[name] for name in ("type", "pattern", "channel", "data")]


def publishing(r):
    with r.pubsub() as pubsub:
        pubsub.subscribe("news", "other")
        pubsub.psubscribe("order:*")
        tell("subscribed", next_of(pubsub), next_of(pubsub), next_of(pubsub))
        tell("receivers", r.publish("news", "hello"), r.publish("order:7", "paid"), r.publish("nobody", "x"))
        tell("messages", next_of(pubsub), next_of(pubsub))
        tell("channels", sorted(r.pubsub_channels()), r.pubsub_numpat(), r.pubsub_numsub("news", "none"))
        pubsub.ping("are you there")
        tell("pong", [str(part) for part in next_of(pubsub)])
        pubsub.unsubscribe("news")
        tell("unsubscribed", next_of(pubsub), r.publish("news", "x"))
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        tell("the rest", next_of(pubsub), next_of(pubsub), pubsub.subscribed)
    with r.pubsub() as pubsub:
        pubsub.ssubscribe("shard")
        tell("sharded", next_of(pubsub), r.spublish("shard", "x"), r.pubsub_shardchannels(), r.pubsub_shardnumsub("shard"))
        message = None
        end = time.monotonic() + PATIENCE
        while message is None and time.monotonic() < end:
            message = pubsub.get_sharded_message(timeout=0.1)
        tell("sharded message", message["type"], message["channel"], message["data"])
    heard, done = [], threading.Event()

    def on_message(message):
        heard.append((message["channel"], message["data"]))
        done.set()

    with r.pubsub() as pubsub:
        pubsub.psubscribe(**{"*": on_message})
        thread = pubsub.run_in_thread(sleep_time=0.01)
        wait_for("the subscription", lambda: r.pubsub_numpat() == 1)
        r.publish("news", "to a handler")
        assert done.wait(PATIENCE)
        thread.stop()
        thread.join()
        tell("handler", heard)
    with r.pubsub() as pubsub:
        r.config_set("notify-keyspace-events", "Ex")
        pubsub.psubscribe("__keyevent@0__:expired")
        next_of(pubsub)
        r.set("short", "x", px=1)
        tell("expired", next_of(pubsub))
        r.config_set("notify-keyspace-events", "")


def waiting(r):
    for name, call in [
        ("blpop", lambda: r.blpop(["none", "jobs"], timeout=0.05)),
        ("brpop", lambda: r.brpop("jobs", timeout=0.05)),
        ("blmove", lambda: r.blmove("jobs", "done", timeout=0.05)),
        ("bzpopmin", lambda: r.bzpopmin("queue", timeout=0.05)),
        ("blmpop", lambda: r.blmpop(0.05, 1, "jobs", direction="LEFT")),
        ("bzmpop", lambda: r.bzmpop(0.05, 1, ["queue"], min=True)),
        ("xread", lambda: r.xread({"log": "$"}, block=50)),
    ]:
        began = time.monotonic()
        tell(name + " in vain", call(), time.monotonic() - began >= 0.04)
    got = []

    def worker(name, call):
        thread = threading.Thread(target=lambda: got.append((name, call(client(socket_timeout=PATIENCE)))))
        thread.start()
        return thread

    workers = []
    for name, call in [
        ("first", lambda c: c.blpop(["jobs", "more"], timeout=PATIENCE)),
        ("second", lambda c: c.blmove("jobs", "done", timeout=PATIENCE)),
        ("third", lambda c: c.bzpopmax("queue", timeout=PATIENCE)),
        ("fourth", lambda c: [(key, [fields for _, fields in entries]) for key, entries in read(c)]),
    ]:
        workers.append(worker(name, call))
        wait_for(name, lambda: r.info("clients")["blocked_clients"] == len(workers))
    r.rpush("jobs", "mail:1", "mail:2")
    r.zadd("queue", {"low": 1, "high": 2})
    r.xadd("log", {"a": 1})
    for thread in workers:
        thread.join()
    tell("got", sorted(got))
    blocked = client(socket_timeout=PATIENCE)
    ident = blocked.client_id()
    held = blocked.connection_pool.get_connection()
    tell("taken and given back", held is not None)
    blocked.connection_pool.release(held)
    workers = [worker("unblocked", lambda c: str(unblocked(blocked)))]
    wait_for("the blocked one", lambda: r.info("clients")["blocked_clients"] == 1)
    tell("unblock", r.client_unblock(ident, error=True))
    workers[0].join()
    tell("unblocked", got[-1])
    timed = client(socket_timeout=0.1)
    refused("time-out of the socket", timed.blpop, "none", timeout=2)
    tell("a new connection", timed.ping())


def unblocked(r):
    try:
        return r.blpop("none", timeout=PATIENCE)
    except redis.RedisError as error:
        return error


def read(r):
    reply = r.xread({"log": "$"}, block=PATIENCE * 1000)
    # RESP3 has a map of lists of lists here.
    return reply if isinstance(reply, list) else [(key, entries[0]) for key, entries in reply.items()]


def scans(r):
    tell("scan", len(set(r.scan_iter("page:*", count=50))), set(r.scan_iter(match="page:1?")) == {f"page:1{n}" for n in range(10)})
    tell("by type", sorted(r.scan_iter(_type="zset", count=1000)))
    r.hset("big", mapping={f"f{n}": n for n in range(1000)})
    r.sadd("many", *range(1000))
    r.zadd("scored", {str(n): n for n in range(1000)})
    tell("hscan", len(dict(r.hscan_iter("big", count=10))), dict(r.hscan_iter("big", match="f99?")) == {f"f99{n}": f"99{n}" for n in range(10)})
    tell("sscan", len(set(r.sscan_iter("many", count=10))), len(dict(r.zscan_iter("scored"))))
    tell("sort", r.sort("many", start=0, num=3, desc=True), r.sort("scored", by="nosort", start=0, num=2))


def tracked(r):
    """Messages that keys are no longer what they were. redis-py's own cache refuses servers before 7.4."""
    watcher = client(single_connection_client=True)
    if PROTOCOL == 3:
        pushes = []
        parser = watcher.connection._parser
        parser.set_invalidation_push_handler(lambda push: pushes.append(push))
        tell("tracking", watcher.execute_command("CLIENT", "TRACKING", "ON"), watcher.get("page:1"))
        r.set("page:1", "new")
        wait_for("the push", lambda: watcher.ping() and pushes)
        tell("push", pushes[0])
        tell("untracked", watcher.execute_command("CLIENT", "TRACKING", "OFF"))
    else:
        listener = client(single_connection_client=True)
        pubsub = listener.pubsub()
        pubsub.subscribe("__redis__:invalidate")
        next_of(pubsub)
        ident = next(each["id"] for each in r.client_list() if each["sub"] == "1")
        redirect = watcher.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", ident, "BCAST", "PREFIX", "page:")
        tell("tracking", redirect, field(watcher.client_trackinginfo(), "prefixes"))
        r.set("page:1", "newer")
        tell("invalidated", next_of(pubsub))
        pubsub.close()
    watcher.close()


def streams(r):
    for number in range(5):
        r.xadd("events", {"n": number}, id=f"{number + 1}-0")
    tell("groups", r.xgroup_create("events", "g", id="0"), r.xgroup_create("fresh", "g", mkstream=True))
    refused("again", r.xgroup_create, "events", "g")
    tell("read", r.xreadgroup("g", "alice", {"events": ">"}, count=2), r.xreadgroup("g", "bob", {"events": ">"}, count=1))
    tell("nothing new", r.xreadgroup("g", "bob", {"fresh": ">"}))
    pending = r.xpending("events", "g")
    tell("pending", pending["pending"], pending["min"], pending["max"], pending["consumers"])
    detail = r.xpending_range("events", "g", "-", "+", 10, consumername="alice")
    tell("detail", [(each["message_id"], each["consumer"], each["times_delivered"]) for each in detail])
    tell("ack", r.xack("events", "g", "1-0", "9-0"), r.xclaim("events", "g", "carol", 0, ["2-0"]))
    tell("autoclaim", r.xautoclaim("events", "g", "carol", 0, "0-0", count=10))
    tell("own", r.xreadgroup("g", "carol", {"events": "0"}))
    tell("ranges", r.xrange("events", "(2-0", "+", count=2), r.xrevrange("events", count=1), r.xlen("events"))
    group = r.xinfo_groups("events")[0]
    tell("info", [group[name] for name in ("name", "consumers", "pending", "last-delivered-id", "entries-read", "lag")])
    tell("stream", r.xinfo_stream("events")["length"], [each["name"] for each in r.xinfo_consumers("events", "g")])
    tell("trim", r.xtrim("events", maxlen=2, approximate=False), r.xdel("events", "5-0"), r.xgroup_destroy("events", "g"))
    refused("no group", r.xreadgroup, "g", "alice", {"events": ">"})


def pools(r):
    pool = redis.ConnectionPool(port=PORT, protocol=PROTOCOL, decode_responses=True, max_connections=2)
    pooled = redis.Redis(connection_pool=pool, client_name="pooled")
    named = redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True, client_name="worker", db=3)
    tell("name and db", named.client_getname(), named.set("in three", 1), client(db=3).get("in three"), r.get("in three"))
    listed = next(each for each in r.client_list() if each["name"] == "worker")
    tell("list", [listed[name] for name in ("db", "name", "lib-name", "resp", "cmd") if name in listed and name != "lib-name"])
    victim = pooled.client_id()
    tell("kill", r.client_kill_filter(_id=victim), pooled.ping(), pooled.client_id() != victim)
    victims = [pooled.client_id(), named.client_id()]
    tell("kill many", [r.client_kill_filter(_id=each) for each in victims], pooled.incr("after kill"), named.ping())
    refused("killed without retries", killed_once, r)
    held = [pool.get_connection() for _ in range(2)]
    refused("too many", pooled.ping)
    for each in held:
        pool.release(each)
    tell("given back", pooled.ping())


def killed_once(r):
    lonely = client(single_connection_client=True, retry=Retry(ConstantBackoff(0), 0))
    ident = lonely.client_id()
    r.client_kill_filter(_id=ident)
    try:
        lonely.set("a", 1)
    except redis.ConnectionError:
        # The text is that of the system.
        return "ConnectionError"


def users(r):
    r.acl_setuser("alice", enabled=True, passwords=["+secret"], keys=["cart:*"], categories=["+@all", "-@dangerous"])
    alice = client(username="alice", password="secret")
    tell("whoami", alice.acl_whoami(), alice.set("cart:1", "x"))
    # 7.0 and 7.2 say this in other words.
    for name, call in [("key", lambda: alice.get("user:1")), ("command", alice.flushall)]:
        try:
            tell(name, call())
        except redis.RedisError as error:
            tell(name, type(error).__name__)
    refused("password", client(username="alice", password="wrong").ping)
    tell("user", r.acl_getuser("alice")["keys"], r.acl_deluser("alice"))
    refused("gone", alice.ping)


def restarts(r):
    """A client with retries does not notice that the server went away and came back."""
    steady = client(retry=Retry(ConstantBackoff(0.1), PATIENCE * 10), retry_on_error=[redis.BusyLoadingError])
    tell("before", steady.set("kept", "x"), steady.get("kept"))
    pubsub = steady.pubsub()
    pubsub.subscribe("news")
    next_of(pubsub)
    process = None
    try:
        r.shutdown(save=True)
        process = subprocess.Popen(SERVE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tell("after", steady.get("kept"), steady.incr("counted"))
        message = None
        end = time.monotonic() + PATIENCE
        while (message is None or message["type"] != "message") and time.monotonic() < end:
            steady.publish("news", "back again")
            message = pubsub.get_message(timeout=0.05)
        tell("subscribed again", message["data"])
        tell("pooled", client().ping(), steady.dbsize() > 500)
    finally:
        if process:
            process.kill()
            process.wait()


def main():
    r = client()
    for part in (types, pipelines, scripts, locks, publishing, waiting, scans, tracked, streams, pools, users, restarts):
        print(f"== {part.__name__}")
        part(r)


main()
