// Algorithm 1 on log T = F_i + G_j - power X_ij, in double, for exponents whose kernel would underflow.
//
// F and G hold all sigmas and deltas so far. With F' = F + log sigma, what F would become if sigma stayed as it is,
// line 7 reads G = log b - logsumexp over words (F' - power X); F = log a - logsumexp over regions (G - power X).
#pragma once

#include <algorithm>

#include "problem.h"

template <class T> class LogLoop {
public:
    static std::size_t bytes(std::int64_t words, std::int64_t regions) {
        return 4 * (padded(words, lanes<T>) + padded(regions, lanes<T>)) * sizeof(double) + 32 * alignment;
    }

    // Goes on from the problem's logarithms.
    LogLoop(Problem<T>& problem, Arena& arena) : p(problem) {
        words = side(arena, p.rows, p.words, p.word_weights, p.word_log, p.word_expected);
        regions = side(arena, p.columns, p.regions, p.region_weights, p.region_log, p.region_expected);
    }

    // `count` iterations with exp(-power X); afterwards sigma and delta are raised to `next`, if there is a next stage.
    void run(std::int64_t count, double power, double next, bool last) {
        for (std::int64_t t = 1; t <= count; ++t) {  // line 4
            const bool first = p.power == 0;
            p.power += power;                                      // line 5
            for (std::int64_t k = 1; k <= p.request.inner; ++k) {  // line 6
                const double relaxation = first && k == 1 ? 1 : p.request.relaxation;
                sum_over_words();
                update(regions, relaxation);  // line 7
                sum_over_regions();
                update(words, last && t == count && k == p.request.inner ? 1 : relaxation);
            }
            absorb(words, t < count ? 1 : next);  // line 9
            absorb(regions, t < count ? 1 : next);
        }
    }

    void finish() {
        p.finish([this](std::int64_t i, T* row) {
            const double* x = p.exponents + i * p.columns;
            const double exact = p.word_weights[i] / words.sum[i];  // exp(F) without the rounding of a long logarithm
            for (std::int64_t j = 0; j < p.columns; j += lanes<double>) {
                Doubles exponent = load(p.region_log + j) - p.power * load(x + j) - words.largest[i];
                store_wide(row + j, exponent > fill(lowest) ? exp<double>(exponent) * exact : Doubles{});
            }
        });
    }

private:
    struct Side {
        std::int64_t size;
        double *target, *log, *expected, *largest, *sum;
    };

    static Side side(Arena& arena, std::int64_t size, std::int64_t real, const double* weights, double* log,
                     double* expected) {
        size = padded(size, lanes<double>);
        Side s{size, arena.take<double>(size), log, expected, arena.take<double>(size), arena.take<double>(size)};
        for (std::int64_t i = 0; i < size; ++i) {
            s.target[i] = i < real ? std::log(weights[i]) : log_nothing;
            s.largest[i] = 0, s.sum[i] = 1;
            if (i >= real) log[i] = expected[i] = log_nothing;
        }
        return s;
    }

    // logsumexp in two parts, largest + log(sum): exponents far below the largest count as `lowest`, so that no
    // number becomes too small for its type.
    void sum_over_words() {
        std::fill_n(regions.largest, p.columns, -std::numeric_limits<double>::infinity());
        std::fill_n(regions.sum, p.columns, 0.0);
        for (std::int64_t i = 0; i < p.words; ++i)
            for (std::int64_t j = 0; j < p.columns; j += lanes<double>)
                store(regions.largest + j, larger(load(regions.largest + j), from_word(i, j)));
        for (std::int64_t i = 0; i < p.words; ++i)
            for (std::int64_t j = 0; j < p.columns; j += lanes<double>) {
                Doubles exponent = larger(from_word(i, j) - load(regions.largest + j), fill(lowest));
                store(regions.sum + j, load(regions.sum + j) + exp<double>(exponent));
            }
    }

    void sum_over_regions() {
        for (std::int64_t i = 0; i < p.words; ++i) {
            Doubles top = fill(-std::numeric_limits<double>::infinity()), total{};
            for (std::int64_t j = 0; j < p.columns; j += lanes<double>) top = larger(top, from_region(i, j));
            words.largest[i] = largest<double>(top);
            for (std::int64_t j = 0; j < p.columns; j += lanes<double>)
                total += exp<double>(larger(from_region(i, j) - words.largest[i], fill(lowest)));
            words.sum[i] = sum(total);
        }
    }

    Doubles from_word(std::int64_t i, std::int64_t j) const {
        return words.expected[i] - p.power * load(p.exponents + i * p.columns + j);
    }
    Doubles from_region(std::int64_t i, std::int64_t j) const {
        return load(regions.expected + j) - p.power * load(p.exponents + i * p.columns + j);
    }

    static void update(Side& side, double relaxation) {
        for (std::int64_t i = 0; i < side.size; i += lanes<double>) {
            Doubles fresh = load(side.target + i) - load(side.largest + i) - log<double>(load(side.sum + i));
            Doubles old = load(side.expected + i);
            store(side.expected + i, relaxation == 1 ? fresh : old + relaxation * (fresh - old));
        }
    }

    static void absorb(Side& side, double next) {
        for (std::int64_t i = 0; i < side.size; i += lanes<double>) {
            Doubles now = load(side.expected + i), step = now - load(side.log + i);
            store(side.log + i, now);
            store(side.expected + i, larger(smaller(now + next * step, fill(log_most)), fill(-log_most)));
        }
    }

    static constexpr double lowest = -80;          // of an exponent, relative to the largest
    static constexpr double log_most = 1e304;      // too strong a relaxation diverges, but not to NaN
    static constexpr double log_nothing = -1e305;  // beyond every cost that `reduce` lets pass

    Problem<T>& p;
    Side words, regions;
};
