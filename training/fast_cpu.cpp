// SPDX-License-Identifier: Apache-2.0
// Training kernels for CPUs with AVX-512 bf16: what PyTorch's CPU path is slow at in channels-last bf16 (training/fast_cpu.py tells why).
// Layouts: activations are [rows, channels] bf16 (rows = N*H*W), weights [taps, channels] fp32. Sums are fp32, or double across rows.
#include <immintrin.h>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <vector>

typedef uint16_t bf16;

static inline __mmask16 lanes(int64_t left) { return left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1); }
static inline __m512 load(const bf16 *p, __mmask16 m) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p)), 16));
}
static inline void store(bf16 *p, __mmask16 m, __m512 v) {
    _mm256_mask_storeu_epi16(p, m, (__m256i)_mm512_cvtneps_pbh(v));
}

// Gradients of a depthwise convolution with padding K / 2. Strips of a few output rows go through all channels while they are in the
// second-level cache; within a strip, 16 channels at a time are unpacked to a zero-bordered fp32 scratch.
template <int K>
static void depthwise(const bf16 *x, const bf16 *g, const float *w, bf16 *dx, float *dw, int64_t N, int64_t H, int64_t W, int64_t C,
                      int64_t OH, int64_t OW, int64_t S) {
    const int64_t P = K / 2, PW = (OW - 1) * S + K > W + 2 * P ? (OW - 1) * S + K : W + 2 * P;
    const int64_t strip = 8, XR = (strip + 1) * S + K, GW = OW + 2 * P;
    float *xs = (float *)aligned_alloc(64, XR * PW * 64);                  // input rows of a strip, then gradients of the input
    float *gs = (float *)aligned_alloc(64, (strip + 2 * P) * GW * 64);
    memset(dw, 0, K * K * C * sizeof(float));
    memset(gs, 0, (strip + 2 * P) * GW * 64);
    for (int64_t n = 0; n < N; n++)
        for (int64_t o0 = 0; o0 < OH; o0 += strip) {
            const int64_t o1 = o0 + strip < OH ? o0 + strip : OH;
            for (int64_t c = 0; c < C; c += 16) {
                const __mmask16 m = lanes(C - c);
                const bf16 *xn = x + n * H * W * C + c, *gn = g + n * OH * OW * C + c;
                bf16 *dn = dx + n * H * W * C + c;
                // scratch row r holds input row o0 * S - P + r
                const int64_t rows = (o1 - o0 - 1) * S + K;
                memset(xs, 0, rows * PW * 64);
                for (int64_t r = 0; r < rows; r++) {
                    const int64_t i = o0 * S - P + r;
                    if (i < 0 || i >= H) continue;
                    for (int64_t j = 0; j < W; j++) _mm512_store_ps(xs + (r * PW + j + P) * 16, load(xn + (i * W + j) * C, m));
                }
                // scratch row r holds gradient row o0 - P + r
                for (int64_t r = 0; r < o1 - o0 + 2 * P; r++) {
                    const int64_t i = o0 - P + r;
                    float *line = gs + (r * GW + P) * 16;
                    if (i < 0 || i >= OH) {
                        memset(line, 0, OW * 64);
                        continue;
                    }
                    for (int64_t j = 0; j < OW; j++) _mm512_store_ps(line + j * 16, load(gn + (i * OW + j) * C, m));
                }
                {
                    __m512 acc[K * K];
#pragma GCC unroll 25
                    for (int t = 0; t < K * K; t++) acc[t] = _mm512_maskz_loadu_ps(m, dw + t * C + c);
                    for (int64_t i = 0; i < o1 - o0; i++)
                        for (int64_t j = 0; j < OW; j++) {
                            const __m512 gv = _mm512_load_ps(gs + ((i + P) * GW + j + P) * 16);
                            const float *b = xs + (i * S * PW + j * S) * 16;
#pragma GCC unroll 25
                            for (int t = 0; t < K * K; t++)
                                acc[t] = _mm512_fmadd_ps(gv, _mm512_load_ps(b + ((t / K) * PW + t % K) * 16), acc[t]);
                        }
#pragma GCC unroll 25
                    for (int t = 0; t < K * K; t++) _mm512_mask_storeu_ps(dw + t * C + c, m, acc[t]);
                }
                __m512 wt[K * K];
#pragma GCC unroll 25
                for (int t = 0; t < K * K; t++) wt[t] = _mm512_maskz_loadu_ps(m, w + t * C + c);
                if (S == 1) {
                    for (int64_t i = o0; i < o1; i++)
                        for (int64_t j = 0; j < W; j++) {
                            __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
                            const float *b = gs + ((i - o0) * GW + j) * 16;
#pragma GCC unroll 25
                            for (int t = 0; t < K * K; t++)
                                s[t & 3] = _mm512_fmadd_ps(wt[K * K - 1 - t], _mm512_load_ps(b + ((t / K) * GW + t % K) * 16), s[t & 3]);
                            store(dn + (i * W + j) * C, m, _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
                        }
                    continue;
                }
                // every output row that reaches input rows o0 * S ... o1 * S - 1, scattered; scratch row r is input row o0 * S - S - P + r
                const int64_t first = o0 * S, last = o1 == OH ? H : o1 * S;
                memset(xs, 0, XR * PW * 64);
                for (int64_t i = o0 > 0 ? o0 - 1 : 0; i <= (o1 < OH ? o1 : OH - 1); i++)
                    for (int64_t j = 0; j < OW; j++) {
                        const __m512 gv = _mm512_load_ps(gs + ((i - o0 + P) * GW + j + P) * 16);
                        float *b = xs + ((i - o0 + 1) * S * PW + j * S) * 16;
#pragma GCC unroll 25
                        for (int t = 0; t < K * K; t++) {
                            float *p = b + ((t / K) * PW + t % K) * 16;
                            _mm512_store_ps(p, _mm512_fmadd_ps(wt[t], gv, _mm512_load_ps(p)));
                        }
                    }
                for (int64_t i = first; i < last; i++)
                    for (int64_t j = 0; j < W; j++)
                        store(dn + (i * W + j) * C, m, _mm512_load_ps(xs + ((i - first + S + P) * PW + j + P) * 16));
            }
        }
    free(xs);
    free(gs);
}

extern "C" {

void depthwise_backward(const bf16 *x, const bf16 *g, const float *w, bf16 *dx, float *dw, int64_t N, int64_t H, int64_t W, int64_t C,
                        int64_t OH, int64_t OW, int64_t K, int64_t S) {
    if (K == 3) depthwise<3>(x, g, w, dx, dw, N, H, W, C, OH, OW, S);
    if (K == 5) depthwise<5>(x, g, w, dx, dw, N, H, W, C, OH, OW, S);
}

// y = clip(x * scale + shift, low, high) with the batch's statistics; mean and variance (biased) come back.
void norm_forward(const bf16 *x, const float *gamma, const float *beta, bf16 *y, float *mean, float *var, int64_t R, int64_t C, float eps,
                  float low, float high) {
    std::vector<double> s(C, 0.0), q(C, 0.0);
    std::vector<float> fs(C + 16), fq(C + 16), pivot(C + 16);
    for (int64_t c = 0; c < C; c += 16) _mm512_storeu_ps(&pivot[c], load(x + c, lanes(C - c)));  // keeps E[x^2] - E[x]^2 accurate
    for (int64_t r0 = 0; r0 < R; r0 += 512) {
        std::fill(fs.begin(), fs.end(), 0.f);
        std::fill(fq.begin(), fq.end(), 0.f);
        const int64_t r1 = r0 + 512 < R ? r0 + 512 : R;
        for (int64_t r = r0; r < r1; r++)
            for (int64_t c = 0; c < C; c += 16) {
                const __m512 v = _mm512_sub_ps(load(x + r * C + c, lanes(C - c)), _mm512_loadu_ps(&pivot[c]));
                _mm512_storeu_ps(&fs[c], _mm512_add_ps(_mm512_loadu_ps(&fs[c]), v));
                _mm512_storeu_ps(&fq[c], _mm512_fmadd_ps(v, v, _mm512_loadu_ps(&fq[c])));
            }
        for (int64_t c = 0; c < C; c++) { s[c] += fs[c]; q[c] += fq[c]; }
    }
    for (int64_t c = 0; c < C; c++) {
        const double mu = s[c] / R, v = q[c] / R - mu * mu;
        mean[c] = (float)(mu + pivot[c]);
        var[c] = (float)(v > 0 ? v : 0);
        fs[c] = gamma[c] / std::sqrt(var[c] + eps);
        fq[c] = beta[c] - mean[c] * fs[c];
    }
    const __m512 lo = _mm512_set1_ps(low), hi = _mm512_set1_ps(high);
    for (int64_t r = 0; r < R; r++)
        for (int64_t c = 0; c < C; c += 16) {
            const __mmask16 m = lanes(C - c);
            const __m512 v = _mm512_fmadd_ps(load(x + r * C + c, m), _mm512_loadu_ps(&fs[c]), _mm512_loadu_ps(&fq[c]));
            store(y + r * C + c, m, _mm512_min_ps(_mm512_max_ps(v, lo), hi));
        }
}

// Gradients of norm_forward; where the clip was active the gradient is zero.
void norm_backward(const bf16 *x, const bf16 *g, const float *gamma, const float *beta, const float *mean, const float *var, bf16 *dx,
                   float *dgamma, float *dbeta, int64_t R, int64_t C, float eps, float low, float high) {
    std::vector<double> s(C, 0.0), q(C, 0.0);
    std::vector<float> fs(C + 16), fq(C + 16), scale(C + 16), shift(C + 16), mu(C + 16);
    for (int64_t c = 0; c < C; c++) {
        scale[c] = gamma[c] / std::sqrt(var[c] + eps);
        shift[c] = beta[c] - mean[c] * scale[c];
        mu[c] = mean[c];
    }
    const __m512 lo = _mm512_set1_ps(low), hi = _mm512_set1_ps(high);
    for (int64_t r0 = 0; r0 < R; r0 += 512) {
        std::fill(fs.begin(), fs.end(), 0.f);
        std::fill(fq.begin(), fq.end(), 0.f);
        const int64_t r1 = r0 + 512 < R ? r0 + 512 : R;
        for (int64_t r = r0; r < r1; r++)
            for (int64_t c = 0; c < C; c += 16) {
                const __mmask16 m = lanes(C - c);
                const __m512 v = load(x + r * C + c, m);
                const __m512 y = _mm512_fmadd_ps(v, _mm512_loadu_ps(&scale[c]), _mm512_loadu_ps(&shift[c]));
                const __mmask16 live = _mm512_cmp_ps_mask(y, lo, _CMP_GT_OQ) & _mm512_cmp_ps_mask(y, hi, _CMP_LT_OQ);
                const __m512 d = _mm512_maskz_mov_ps(live, load(g + r * C + c, m));
                _mm512_storeu_ps(&fs[c], _mm512_add_ps(_mm512_loadu_ps(&fs[c]), d));
                _mm512_storeu_ps(&fq[c], _mm512_fmadd_ps(d, _mm512_sub_ps(v, _mm512_loadu_ps(&mu[c])), _mm512_loadu_ps(&fq[c])));
            }
        for (int64_t c = 0; c < C; c++) { s[c] += fs[c]; q[c] += fq[c]; }
    }
    // dx = scale * (d - mean(d) - (x - mu) * invvar * mean(d * (x - mu))) = scale * d + a * x + b
    std::vector<float> a(C + 16), b(C + 16);
    for (int64_t c = 0; c < C; c++) {
        const double invstd = 1.0 / std::sqrt((double)var[c] + eps);
        dbeta[c] = (float)s[c];
        dgamma[c] = (float)(q[c] * invstd);
        a[c] = (float)(-scale[c] * invstd * invstd * q[c] / R);
        b[c] = (float)(-scale[c] * s[c] / R - (double)a[c] * mean[c]);
    }
    for (int64_t r = 0; r < R; r++)
        for (int64_t c = 0; c < C; c += 16) {
            const __mmask16 m = lanes(C - c);
            const __m512 v = load(x + r * C + c, m), sc = _mm512_loadu_ps(&scale[c]);
            const __m512 y = _mm512_fmadd_ps(v, sc, _mm512_loadu_ps(&shift[c]));
            const __mmask16 live = _mm512_cmp_ps_mask(y, lo, _CMP_GT_OQ) & _mm512_cmp_ps_mask(y, hi, _CMP_LT_OQ);
            const __m512 d = _mm512_maskz_mov_ps(live, load(g + r * C + c, m));
            store(dx + r * C + c, m, _mm512_fmadd_ps(d, sc, _mm512_fmadd_ps(v, _mm512_loadu_ps(&a[c]), _mm512_loadu_ps(&b[c]))));
        }
}
}
