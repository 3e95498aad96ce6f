// IPOT, Algorithm 1 of UNITER (Xie et al. 2018), for many small problems: the C entry points and the threads.
//
//   1  sigma = 1/m                                 problem.h        brings a pair's real entries together
//   2  A = exp(-C / beta), T = 1                   scaling_loop.h   sweeps over A in the working precision, or
//   4  for t = 1, 2, ..., N                        log_loop.h       the same on logarithms, for a large range / beta
//   5      Q = A * T                               vector_math.h    the arithmetic
//   6      for k = 1, 2, ..., K
//   7          delta = 1 / (n Q' sigma), sigma = 1 / (m Q delta)
//   9      T = diag(sigma) Q diag(delta)
//
// A pair stays in the cache of one core from its first line to its last. Pairs do not know of each other, so the
// answers are the same for any number of threads; nothing is kept between calls.

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "log_loop.h"
#include "problem.h"
#include "scaling_loop.h"

namespace {

template <class T> void solve_pair(const Request<T>& request, std::int64_t pair, Arena& arena) {
    arena.clear();
    Problem<T> problem(request, pair, arena);
    if (!problem.words || !problem.regions) return problem.finish_empty();
    if (!problem.reduce()) return problem.finish_not_finite();

    const std::int64_t* powers = request.powers;
    std::int64_t stage = 0;
    auto in_reach = [&] {
        return stage < request.stages && double(powers[stage]) * problem.largest <= largest_scaling_exponent;
    };
    auto run_stage = [&](auto& loop) {
        const bool last = stage + 1 == request.stages;
        const double next = last ? 1 : double(powers[stage + 1]) / double(powers[stage]);
        loop.run(request.counts[stage], double(powers[stage]), next, last);
        ++stage;
    };
    problem.start();
    if (in_reach()) {
        ScalingLoop<T> loop(problem, arena);
        while (in_reach()) run_stage(loop);
        if (loop.sound() && stage == request.stages) return loop.finish();
        if (!loop.sound()) problem.start(), stage = 0;
    }
    LogLoop<T> loop(problem, arena);
    while (stage < request.stages) run_stage(loop);
    loop.finish();
}

// How many threads the work is worth: waking one of OpenMP's costs as much as some hundred thousand entries' updates,
// starting one as much as a few million.
template <class T> std::int64_t worthwhile(const Request<T>& request) {
#ifdef _OPENMP
    constexpr double updates_a_thread = 4e5;
#else
    constexpr double updates_a_thread = 4e6;
#endif
    constexpr double updates_to_prepare = 20;
    const double entries = double(request.pairs) * double(request.words) * double(request.regions);
    const double updates = entries * (double(request.iterations()) * double(request.inner) + updates_to_prepare);
    const double most = 1 + updates / updates_a_thread;
    return std::min({request.threads, request.pairs, std::int64_t(std::min(most, 1e6))});
}

template <class T> int solve(const Request<T>& request) {
    const std::int64_t threads = worthwhile(request);
    const std::int64_t chunk = std::max<std::int64_t>(1, request.pairs / (std::max<std::int64_t>(threads, 1) * 16));
    std::atomic<std::int64_t> next{0};
    std::atomic<bool> out_of_memory{false};
    auto work = [&] {
        try {
            Arena arena(Problem<T>::bytes(request.words, request.regions) +
                        ScalingLoop<T>::bytes(request.words, request.regions) +
                        LogLoop<T>::bytes(request.words, request.regions));
            for (std::int64_t begin; (begin = next.fetch_add(chunk)) < request.pairs;)
                for (std::int64_t pair = begin; pair < std::min(begin + chunk, request.pairs); ++pair)
                    solve_pair(request, pair, arena);
        } catch (const std::bad_alloc&) {
            out_of_memory = true;
        }
    };
#ifdef _OPENMP  // torch's own threads: they may still be spinning after its last operation, and others would fight them
#pragma omp parallel num_threads(static_cast<int>(threads))
    work();
#else
    std::vector<std::thread> others;
    try {
        for (std::int64_t i = 1; i < threads; ++i) others.emplace_back(work);
    } catch (const std::exception&) {  // no more threads to be had: these will do
    }
    work();
    for (std::thread& other : others) other.join();
#endif
    return out_of_memory;
}

}  // namespace

extern "C" int uniter_ipot_float(const Request<float>* request) { return solve(*request); }
extern "C" int uniter_ipot_double(const Request<double>* request) { return solve(*request); }
