// One pair: its real entries brought together, its costs reduced, its answer written out.
//
// Words are rows, regions columns. Rows are padded to whole blocks, columns to whole vectors; padding has weight 0 and
// exponent 0, so that it takes part in every loop and changes no sum.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <new>

#include "vector_math.h"

// What is asked for all pairs, and where the answers go; arrays as in solution.py.
template <class T> struct Request {
    const T *cost, *word_weights, *region_weights;
    std::int64_t pairs, words, regions;
    double beta;
    const std::int64_t *counts, *powers;  // of the stages
    std::int64_t stages, inner;
    double relaxation;
    std::int64_t threads;  // at most
    T *plan, *distance, *word_error, *region_error, *word_potential, *region_potential;

    std::int64_t iterations() const {
        std::int64_t sum = 0;
        for (int s = 0; s < stages; ++s) sum += counts[s];
        return sum;
    }
    double total_power() const {
        double sum = 0;
        for (int s = 0; s < stages; ++s) sum += double(counts[s]) * double(powers[s]);
        return sum;
    }
};

inline std::int64_t padded(std::int64_t size, std::int64_t unit) { return (size + unit - 1) / unit * unit; }

// Aligned memory that one thread uses for all its pairs.
class Arena {
public:
    explicit Arena(std::size_t bytes)
        : memory_(static_cast<char*>(::operator new(bytes, std::align_val_t(alignment)))) {}
    ~Arena() { ::operator delete(memory_, std::align_val_t(alignment)); }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    void clear() { used_ = 0; }
    template <class T> T* take(std::int64_t count) {
        T* taken = reinterpret_cast<T*>(memory_ + used_);
        used_ += padded(count * sizeof(T), alignment);
        return taken;
    }

private:
    char* memory_;
    std::size_t used_ = 0;
};

template <class T> class Problem {
public:
    const Request<T>& request;
    std::int64_t words, regions;  // the real ones
    std::int64_t rows, columns;   // with padding
    double* exponents;            // X (rows, columns) = C / beta - word_shift - region_shift, at least 0
    double *word_shift, *region_shift;
    double *word_weights, *region_weights;    // a (rows,), b (columns,)
    double *word_log, *region_log;            // F, G: log T = F_i + G_j - power X_ij, when sigma and delta are absorbed
    double *word_expected, *region_expected;  // F + log sigma, G + log delta: what one more sweep like the last gives
    double power = 0;                         // of exp(-X) within T
    double largest = 0;                       // max X

    static std::size_t bytes(std::int64_t words, std::int64_t regions) {
        return padded(words, block_rows) * padded(regions, lanes<T>) * sizeof(double) +
               (padded(words, block_rows) + padded(regions, lanes<T>)) * 7 * sizeof(double) + 32 * alignment;
    }

    Problem(const Request<T>& request, std::int64_t pair, Arena& arena)
        : request(request), pair_(pair), word_index_(arena.take<int>(request.words)),
          region_index_(arena.take<int>(request.regions)) {
        words = find(request.word_weights + pair * request.words, request.words, word_index_);
        regions = find(request.region_weights + pair * request.regions, request.regions, region_index_);
        rows = padded(words, block_rows), columns = padded(regions, lanes<T>);
        together_ = regions > 0 && region_index_[regions - 1] - region_index_[0] + 1 == regions;
        exponents = arena.take<double>(rows * columns);
        word_weights = zeros(arena, rows), region_weights = zeros(arena, columns);
        const T *a = request.word_weights + pair * request.words, *b = request.region_weights + pair * request.regions;
        for (std::int64_t i = 0; i < words; ++i) word_weights[i] = a[word_index_[i]];
        for (std::int64_t j = 0; j < regions; ++j) region_weights[j] = b[region_index_[j]];
        for (double** array : {&word_shift, &word_log, &word_expected}) *array = zeros(arena, rows);
        for (double** array : {&region_shift, &region_log, &region_expected, &column_sums_})
            *array = zeros(arena, columns);
        plan_row_ = arena.take<T>(columns);
    }

    static double* zeros(Arena& arena, std::int64_t count) {
        count = padded(count, lanes<double>);
        double* array = arena.take<double>(count);
        for (std::int64_t i = 0; i < count; ++i) array[i] = 0;
        return array;
    }

    // Takes each region's and then each word's smallest exponent away, which changes no plan. False: not finite.
    bool reduce() {
        const T* cost = request.cost + pair_ * request.words * request.regions;
        const double inverse = 1 / request.beta;
        for (std::int64_t j = 0; j < columns; ++j) region_shift[j] = std::numeric_limits<double>::infinity();
        Doubles total{};
        for (std::int64_t i = 0; i < words; ++i) {
            double* x = exponents + i * columns;
            const T* from = cost + word_index_[i] * request.regions;
            if (together_)
                for (std::int64_t j = 0; j < regions; ++j) x[j] = double(from[region_index_[0] + j]) * inverse;
            else
                for (std::int64_t j = 0; j < regions; ++j) x[j] = double(from[region_index_[j]]) * inverse;
            for (std::int64_t j = regions; j < columns; ++j) x[j] = x[0];  // touches neither smallest nor largest
            for (std::int64_t j = 0; j < columns; j += lanes<double>) {
                total += larger(load(x + j), -load(x + j));
                store(region_shift + j, smaller(load(x + j), load(region_shift + j)));
            }
        }
        if (!(sum(total) * request.total_power() < 1e300)) return false;
        Doubles top{};
        for (std::int64_t i = 0; i < words; ++i) {
            double* x = exponents + i * columns;
            Doubles low = fill(std::numeric_limits<double>::infinity());
            for (std::int64_t j = 0; j < columns; j += lanes<double>) {
                store(x + j, load(x + j) - load(region_shift + j));
                low = smaller(low, load(x + j));
            }
            word_shift[i] = smallest<double>(low);
            for (std::int64_t j = 0; j < columns; j += lanes<double>) {
                store(x + j, load(x + j) - word_shift[i]);
                top = larger(top, load(x + j));
            }
            for (std::int64_t j = regions; j < columns; ++j) x[j] = 0;
        }
        for (std::int64_t at = words * columns; at < rows * columns; ++at) exponents[at] = 0;
        largest = ::largest<double>(top);
        return true;
    }

    // Lines 1 and 2: T = 1, sigma = 1; but the words' constants that `reduce` took away, sigma has to make up for.
    void start() {
        power = 0;
        for (std::int64_t i = 0; i < rows; ++i) word_log[i] = 0, word_expected[i] = -request.powers[0] * word_shift[i];
        for (std::int64_t j = 0; j < columns; ++j) region_log[j] = region_expected[j] = 0;
    }

    // Line 9: writes out the plan, whose row i is `plan_row(i, buffer)`, and what is measured on it.
    template <class PlanRow> void finish(PlanRow plan_row) {
        T* plan = request.plan + pair_ * request.words * request.regions;
        double distance = 0, word_error = 0, region_error = 0;
        for (std::int64_t w = 0, i = 0; w < request.words; ++w) {
            T* to = plan + w * request.regions;
            if (i == words || word_index_[i] != w) {
                for (std::int64_t j = 0; j < request.regions; ++j) to[j] = 0;
                continue;
            }
            plan_row(i, plan_row_);
            const double* x = exponents + i * columns;
            Doubles mass{}, carried{};
            for (std::int64_t j = 0; j < columns; j += lanes<double>) {
                Doubles entry = load_wide(plan_row_ + j);
                mass += entry;
                carried += entry * (load(x + j) + load(region_shift + j));
                store(column_sums_ + j, load(column_sums_ + j) + entry);
            }
            distance += sum(carried) + sum(mass) * word_shift[i];
            word_error += std::abs(sum(mass) - word_weights[i]);
            write_row(to);
            ++i;
        }
        for (std::int64_t j = 0; j < regions; ++j) region_error += std::abs(column_sums_[j] - region_weights[j]);
        request.distance[pair_] = T(distance * request.beta);
        request.word_error[pair_] = T(word_error);
        request.region_error[pair_] = T(region_error);
        write_potential(request.word_potential + pair_ * request.words, request.words, word_index_, words, word_log,
                        word_shift);
        write_potential(request.region_potential + pair_ * request.regions, request.regions, region_index_, regions,
                        region_log, region_shift);
    }

    // A pair that lacks a side: everything is 0.
    void finish_empty() {
        words = regions = 0;
        finish([](std::int64_t, T*) {});
    }

    // A pair without an answer: the plan is 0, which misses both marginals, and the distance NaN.
    void finish_not_finite() {
        for (std::int64_t i = 0; i < words; ++i) word_shift[i] = 0;
        for (std::int64_t j = 0; j < columns; ++j) region_shift[j] = 0;
        finish([this](std::int64_t, T* row) {
            for (std::int64_t j = 0; j < columns; ++j) row[j] = 0;
        });
        request.distance[pair_] = std::numeric_limits<T>::quiet_NaN();
    }

private:
    static std::int64_t find(const T* weights, std::int64_t count, int* index) {
        std::int64_t found = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            index[found] = int(i);
            found += weights[i] != 0;
        }
        return found;
    }

    void write_row(T* to) const {
        std::int64_t first = together_ ? region_index_[0] : 0;
        if (!together_) {
            for (std::int64_t j = 0; j < request.regions; ++j) to[j] = 0;
            for (std::int64_t j = 0; j < regions; ++j) to[region_index_[j]] = plan_row_[j];
            return;
        }
        for (std::int64_t j = 0; j < first; ++j) to[j] = 0;
        std::memcpy(to + first, plan_row_, regions * sizeof(T));
        for (std::int64_t j = first + regions; j < request.regions; ++j) to[j] = 0;
    }

    // log T = F_i + G_j - power X_ij, in units of the cost.
    void write_potential(T* to, std::int64_t count, const int* index, std::int64_t found, const double* logs,
                         const double* shift) const {
        for (std::int64_t i = 0; i < count; ++i) to[i] = 0;
        for (std::int64_t i = 0; i < found; ++i)
            to[index[i]] = T((logs[i] / request.total_power() + shift[i]) * request.beta);
    }

    std::int64_t pair_;
    int *word_index_, *region_index_;
    bool together_ = false;  // the real regions have no hole between them
    double* column_sums_;
    T* plan_row_;
};
