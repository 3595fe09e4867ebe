//! Commands a second in one process, without a network: the engine as a library, one client, values of 3 bytes, keys of
//! 100 000 at random, as redis-benchmark has them (`-r 100000`). `cargo bench --bench engine`.
//!
//! A request is built outside of the measured time; encoding its reply is inside.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redlab::base::{Bytes, Millis, Rng};
use redlab::engine::config::Config;
use redlab::engine::disk::MemoryDisk;
use redlab::engine::{ClientId, Env, Input, Instance, Outbox, Output};
use redlab::resp::{Protocol, encode};
use std::time::Duration;

const CLIENT: ClientId = ClientId(1);
const BATCH: usize = 1000;
const KEYS: usize = 100_000;

struct Server {
    instance: Instance,
    rng: Rng,
    disk: MemoryDisk,
    out: Outbox,
    wire: Vec<u8>,
}

impl Server {
    fn new() -> Server {
        let mut rng = Rng::new(1);
        let instance = Instance::new(Config::default(), Millis(1), &mut rng);
        let mut server = Server { instance, rng, disk: MemoryDisk::default(), out: Vec::new(), wire: Vec::new() };
        server.step(Input::Connect(CLIENT));
        server
    }

    fn step(&mut self, input: Input) {
        let mut env = Env { now: Millis(1), rng: &mut self.rng, disk: &mut self.disk };
        self.instance.step(&mut env, input, &mut self.out);
    }

    /// Carries requests out and encodes their replies.
    fn serve(&mut self, requests: Vec<Vec<Bytes>>) {
        self.wire.clear();
        for request in requests {
            self.step(Input::Request(CLIENT, request));
            for output in self.out.drain(..) {
                if let Output::Reply(_, reply) = output {
                    assert!(!reply.is_error(), "no request may be refused: {reply:?}");
                    encode::reply(&mut self.wire, &reply, Protocol::Resp2);
                }
            }
        }
    }
}

/// A command line, or several in turn with `|` between them; `#` stands for a random number of six digits.
fn requests(line: &str, rng: &mut Rng) -> Vec<Vec<Bytes>> {
    let mut word = |word: &str| match word.strip_suffix('#') {
        Some(stem) => Bytes::from(format!("{stem}{:06}", rng.below(KEYS))),
        None => Bytes::from(word),
    };
    line.split(" | ").cycle().take(BATCH).map(|line| line.split(' ').map(&mut word).collect()).collect()
}

fn measure(criterion: &mut Criterion, name: &str, prepare: &[(&str, usize)], line: &str) {
    let mut server = Server::new();
    let mut rng = Rng::new(7);
    for (line, batches) in prepare {
        for _ in 0..*batches {
            server.serve(requests(line, &mut rng));
        }
    }
    let mut group = criterion.benchmark_group("engine");
    group
        .throughput(Throughput::Elements(BATCH as u64))
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(|| requests(line, &mut rng), |batch| server.serve(batch), BatchSize::LargeInput);
    });
    group.finish();
}

fn engine(criterion: &mut Criterion) {
    let measure = &mut |name, prepare: &[(&str, usize)], line| measure(criterion, name, prepare, line);
    measure("PING", &[], "PING");
    measure("SET", &[("SET key:# xxx", 100)], "SET key:# xxx");
    measure("GET", &[("SET key:# xxx", 200)], "GET key:#");
    measure("INCR", &[], "INCR counter:#");
    // By turns, so that the list neither fills the memory nor runs out.
    measure(
        "LPUSH+LPOP",
        &[("LPUSH mylist xxx", 10)],
        "LPUSH mylist xxx | LPUSH mylist xxx | LPOP mylist | LPOP mylist",
    );
    measure("SADD", &[], "SADD myset element:#");
    measure("HSET", &[], "HSET myhash element:# xxx");
    measure("ZADD", &[], "ZADD myzset 1# element:#");
    measure("ZRANK", &[("ZADD myzset 1# element:#", 100)], "ZRANK myzset element:#");
    measure("LRANGE_100", &[("RPUSH mylist xxx xxx xxx xxx xxx xxx xxx xxx xxx xxx", 1)], "LRANGE mylist 0 99");
}

criterion_group!(benches, engine);
criterion_main!(benches);
