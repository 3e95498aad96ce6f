// Algorithm 1 on T = diag(S) Q diag(D), for exponents whose kernel does not underflow.
//
// Q holds powers of the kernel A = exp(-X); S and D are the products of sigma and delta since Q last absorbed them.
// With w = S sigma, what S would become if sigma stayed as it is, line 7 reads D = b / (Q' w); S = a / (Q D).
#pragma once

#include <algorithm>

#include "problem.h"

constexpr double largest_scaling_exponent = 24;  // exp(-24) = 4e-11: such kernels lose nothing that a float could show
constexpr int longest_period = 16;               // sweeps between absorptions
constexpr int longest_rounding = 48;             // sweeps after which Q is taken from the logarithms again

template <class T> class ScalingLoop {
public:
    static std::size_t bytes(std::int64_t words, std::int64_t regions) {
        std::int64_t rows = padded(words, block_rows), columns = padded(regions, lanes<T>);
        return (3 * rows * columns + 3 * rows * group<T> + 6 * columns) * sizeof(T) + 3 * rows * sizeof(double) +
               32 * alignment;
    }

    ScalingLoop(Problem<T>& problem, Arena& arena) : p(problem), rows(p.rows), columns(p.columns) {
        for (T** matrix : {&A, &Q, &X}) *matrix = arena.take<T>(rows * columns);
        for (T** side : {&a, &w, &z_before}) *side = arena.take<T>(rows * group<T>);
        for (T** side : {&b, &y, &D, &D_before, &G, &threshold}) *side = arena.take<T>(columns);
        for (double** side : {&S, &S_before, &sigma}) *side = p.zeros(arena, rows);
        for (std::int64_t at = 0; at < rows * columns; at += lanes<double>) store_wide(X + at, load(p.exponents + at));
        std::fill_n(Q + p.words * columns, (rows - p.words) * columns, T(1));
        for (std::int64_t i = 0; i < rows; ++i) spread_to(a, i, T(p.word_weights[i])), spread_to(w, i, 0);
        for (std::int64_t j = 0; j < columns; ++j) {
            b[j] = T(p.region_weights[j]);
            threshold[j] = j < p.regions ? revived_below : 0;
        }
    }

    // `count` iterations with exp(-power X); afterwards sigma and delta are raised to `next`, if there is a next stage.
    void run(std::int64_t count, double power, double next, bool last) {
        const int period = int(std::clamp(std::floor(largest_scaling_exponent / (power * p.largest)), 1.0,
                                          double(longest_period)));
        int left = p.power == 0 ? 1 : period;  // the first absorption takes what is far from 1 in the weights
        set_kernel(power);
        bool started = false;
        for (std::int64_t t = 1; t <= count; ++t) {  // line 4
            if (!started) start_period(sweeps >= longest_rounding);
            ++sweeps;
            const bool first = p.power == 0;
            p.power += power;
            for (std::int64_t k = 1; k <= p.request.inner; ++k) {  // line 6
                over = first && k == 1 ? 0 : T(p.request.relaxation - 1);
                update_regions();
                if (k < p.request.inner) sweep<Then::repeat>();
            }
            if (last && t == count) over = 0;  // the words' marginal is to be exact
            started = t < count && --left > 0;
            if (started) {
                sweep<Then::advance>();
            } else {
                sweep<Then::stop>();
                log_scalings(t < count ? 1 : next);
                left = period;
            }
        }
    }

    // Whether the scalings stayed within what T holds. They do, unless weights differ by dozens of orders of magnitude
    // or the relaxation is so strong that the method diverges.
    bool sound() const { return sound_; }

    void finish() {
        p.finish([this](std::int64_t i, T* row) {
            const T s = T(S[i]);
            for (std::int64_t j = 0; j < columns; j += lanes<T>)
                store(row + j, load(Q + i * columns + j) * s * load(D + j));  // line 9
        });
    }

private:
    enum class Then { repeat, advance, stop };

    // The sweeps raise the kernel to a power, and its rounding error with it: it is rounded once, and not through X.
    void set_kernel(double power) {
        constexpr int degree = sizeof(T) == 4 ? 8 : Format<double>::exp_degree;
        for (std::int64_t at = 0; at < rows * columns; at += lanes<double>)
            store_wide(A + at, exp<double, degree>(-power * load(p.exponents + at)));
    }

    // Q = S Q D A, lines 9 and 5; then sigma and delta as the logarithms expect them, and y = Q' w. A common factor of
    // sigma only moves scale from D to S, sweep after sweep: the largest is kept at 1. If `renew`, Q is taken from the
    // logarithms throughout, and with it the rounding errors that the kernel's powers have gathered are gone.
    void start_period(bool renew) {
        if (renew) sweeps = 0;
        double top = -std::numeric_limits<double>::infinity();
        for (std::int64_t i = 0; i < p.words; ++i) top = std::max(top, p.word_expected[i] - p.word_log[i]);
        for (std::int64_t i = 0; i < rows; i += lanes<double>)
            store(sigma + i, exp<double>(larger(load(p.word_expected + i) - load(p.word_log + i) - top, fill(-80.0))));
        for (std::int64_t j = 0; j < columns; j += lanes<double>) store_wide(G + j, load(p.region_log + j));
        std::fill_n(y, columns, T(0));
        const bool first = p.power == 0;
        for (std::int64_t i = 0; i < p.words; ++i) {
            const T s = T(S[i]), weight = T(sigma[i]), F = T(p.word_log[i]), power = T(p.power);
            T* row = Q + i * columns;
            for (std::int64_t j = 0; j < columns; j += lanes<T>) {
                Vector<T> q = fill(T(1));  // line 2
                if (!first) {
                    q = load(row + j) * s * load(D + j);
                    Vector<T> below = load(threshold + j);
                    if (renew) below = below > Vector<T>{} ? fill(T(2)) : below;  // above all entries
                    const auto vanished = q < below;
                    const Vector<T> log_plan = F + load(G + j) - power * load(X + i * columns + j);
                    q = vanished ? Vector<T>{} : q;
                    if (any_below(fill(revived_above), vanished ? log_plan : fill(revived_above))) q = revived(i, j, q, below);
                }
                store(row + j, q *= load(A + i * columns + j));
                store(y + j, load(y + j) + q * weight);
            }
            spread_to(w, i, weight);
        }
        std::copy_n(a, rows * group<T>, z_before);  // S_before = 1
        if (p.request.relaxation == 1) return;
        for (std::int64_t j = 0; j < columns; j += lanes<double>) {
            Doubles log_delta = load(p.region_expected + j) - load(p.region_log + j) + top;
            store_wide(D + j, exp<double>(larger(log_delta, fill(-80.0))));
        }
        std::fill_n(D_before, columns, T(1));
    }

    // Entries that underflow may have to come back: these are taken from log T = F + G - power X again.
    Vector<T> revived(std::int64_t i, std::int64_t first, Vector<T> q, Vector<T> below) const {
        alignas(alignment) T entries[lanes<T>];
        for (std::int64_t l = 0; l < lanes<T>; l += lanes<double>) {
            const std::int64_t j = first + l;
            Doubles log_plan = p.word_log[i] + load(p.region_log + j) - p.power * load(p.exponents + i * columns + j);
            store_wide(entries + l, exp<double>(larger(log_plan, fill(double(Format<T>::lowest_exponent)))));
        }
        return q < below ? load(entries) : q;
    }

    // Line 7, first half: D = b / y
    void update_regions() {
        for (std::int64_t j = 0; j < columns; j += lanes<T>) {
            Vector<T> scaling = load(b + j) / (load(y + j) + Format<T>::smallest);
            if (over != 0) scaling *= relaxing(load(D + j), scaling);
            store(D + j, scaling);
        }
    }

    // Line 7, second half: S = a / (Q D), and in the same pass over Q what the next update of the regions needs.
    template <Then then> void sweep() {
        switch (columns / lanes<T>) {
            case 1: return sweep<then, 1>();
            case 2: return sweep<then, 2>();
            case 3: return sweep<then, 3>();
            case 4: return sweep<then, 4>();
            case 5: return sweep<then, 5>();
            case 6: return sweep<then, 6>();
            case 7: return sweep<then, 7>();
            case 8: return sweep<then, 8>();
            default: return sweep<then, 0>();
        }
    }

    template <Then then, int fixed> void sweep() {
        const std::int64_t vectors = fixed ? fixed : columns / lanes<T>, width = vectors * lanes<T>;
        Vector<T> kept[fixed ? fixed : 1] = {};
        if (!fixed) std::fill_n(y, width, T(0));
        for (std::int64_t block = 0; block < rows / block_rows; ++block) {
            T* q = Q + block * block_rows * width;
            const T* kernel = A + block * block_rows * width;
            Vector<T> z[block_rows] = {};
            for (std::int64_t k = 0; k < vectors; ++k)
                for (int r = 0; r < block_rows; ++r)
                    z[r] += load(q + r * width + k * lanes<T>) * load(D + k * lanes<T>);
            T *w_here = w + block * lanes<T>, *before = z_before + block * lanes<T>;
            Vector<T> sums = group_sums<T>(z[0], z[1], z[2], z[3]) + Format<T>::smallest;
            Vector<T> inverse = 1 / sums, scaling = load(a + block * lanes<T>) * inverse;
            if (over != 0) {
                const Vector<T> factor = relaxing(load(w_here), scaling);
                scaling *= factor, inverse *= factor, sums /= factor;
            }
            Vector<T> weight = scaling;
            if (then == Then::advance) {
                weight = scaling * (load(before) * inverse);  // S sigma, as sigma = S / S_before = z_before / z
                store(before, sums);
            }
            store(w_here, weight);
            if (then == Then::stop) continue;
            const Vector<T> weights[block_rows] = {spread<T, 0>(weight), spread<T, 1>(weight), spread<T, 2>(weight),
                                                   spread<T, 3>(weight)};
            for (std::int64_t k = 0; k < vectors; ++k) {
                Vector<T> sum = {};
                for (int r = 0; r < block_rows; ++r) {
                    const std::int64_t at = r * width + k * lanes<T>;
                    Vector<T> entry = load(q + at);
                    if (then == Then::advance) store(q + at, entry *= load(kernel + at));  // lines 9 and 5
                    sum += entry * weights[r];
                }
                if (fixed)
                    kept[k] += sum;
                else
                    store(y + k * lanes<T>, load(y + k * lanes<T>) + sum);
            }
        }
        if (fixed && then != Then::stop)
            for (int k = 0; k < fixed; ++k) store(y + k * lanes<T>, kept[k]);
        if (then == Then::advance && p.request.relaxation != 1)
            for (std::int64_t j = 0; j < width; j += lanes<T>) {
                Vector<T> scaling = load(D + j);
                store(D + j, scaling * (scaling / (load(D_before + j) + Format<T>::smallest)));
                store(D_before + j, scaling);
            }
    }

    // What turns a new scaling into one beyond it, seen from the old one.
    Vector<T> relaxing(Vector<T> old, Vector<T> fresh) const {
        return exp<T>(over * log<T>(fresh / (old + Format<T>::smallest)));
    }

    // F and G with S and D in them, and what they become if sigma and delta stay, raised to `next`.
    void log_scalings(double next) {
        for (std::int64_t i = 0; i < p.words; ++i) {
            S[i] = w[i * group<T>];
            S_before[i] = p.word_weights[i] / z_before[i * group<T>];
        }
        Doubles total{};
        for (std::int64_t i = 0; i < rows; i += lanes<double>) {
            total += load(S + i);
            Doubles log_S = log<double>(load(S + i)), log_sigma = log_S - log<double>(load(S_before + i));
            store(p.word_log + i, load(p.word_log + i) + log_S);
            store(p.word_expected + i, load(p.word_log + i) + next * log_sigma);
        }
        for (std::int64_t j = 0; j < columns; j += lanes<double>) {
            total += load_wide(D + j);
            Doubles log_D = log<double>(load_wide(D + j));
            store(p.region_log + j, load(p.region_log + j) + log_D);
            if (p.request.relaxation == 1) continue;
            Doubles log_delta = log_D - log<double>(load_wide(D_before + j));
            store(p.region_expected + j, load(p.region_log + j) + next * log_delta);
        }
        sound_ = sound_ && sum(total) < largest_sound;
    }

    static void spread_to(T* side, std::int64_t i, T value) { std::fill_n(side + i * group<T>, group<T>, value); }

    // Entries below exp(-60) may leave what a float holds within a period; in a double there is more room.
    static constexpr T revived_below = sizeof(T) == 4 ? T(8.7565e-27) : T(1e-200);
    static constexpr T revived_above = sizeof(T) == 4 ? T(-59.9) : T(-460);  // their logarithms, and a little
    static constexpr double largest_sound = sizeof(T) == 4 ? 1e32 : 1e300;

    Problem<T>& p;
    const std::int64_t rows, columns;
    T over = 0;                               // relaxation - 1 of the next update
    T *A, *Q, *X;                             // (rows, columns)
    T *a, *w, *z_before;                      // (rows * group): each number repeated in its group
    T *b, *y, *D, *D_before, *G, *threshold;  // (columns,)
    double *S, *S_before, *sigma;             // (rows,) at an absorption
    bool sound_ = true;
    int sweeps = 0;  // since Q was taken from the logarithms
};
