//! Programs that people use with Redis against `redlab serve`: client libraries (redis-rs, redis-py) and redis-cli's cluster
//! manager. What needs redis-cli or redis-py is skipped, visibly, where it is not installed; `REDLAB_REQUIRE_ORACLE=1` makes
//! that an error.

mod served;

mod redis_rs;
mod redis_rs_more;

mod redis_py;

mod manager;
