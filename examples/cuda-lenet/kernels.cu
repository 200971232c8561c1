/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every computation of the network. Launched by layer.c and net.c. Tensors are dense, in the order
 * sample, channel, row, column. kernels.ptx is made from this file; tests/cuda/make-ptx.sh does it.
 *
 * No kernel may use atomics on floats or any other sum whose order is left to the scheduler: each
 * value is summed by one thread or by a fixed tree, so two runs on one device agree to the last
 * bit.
 */

enum { FILTER = 3, TILE = 16, LANES = 16 };

static const unsigned whole_warp = 0xffffffff;

__device__ static float warp_sum(float value)
{
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(whole_warp, value, distance);
    return value;
}

__device__ static float warp_largest(float value)
{
    for (int distance = 16; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor_sync(whole_warp, value, distance));
    return value;
}

/* ---- Convolution: stride 1, zero padding, output as large as the input ---- */

extern __shared__ float planes[];

/* Copies planes of one sample to shared memory, each with a border of zeros. All threads of a
 * block. */
__device__ static void load_planes(const float *source, int channels, int width)
{
    int padded = width + 2, area = padded * padded;

    for (int i = threadIdx.y * blockDim.x + threadIdx.x; i < channels * area;
         i += blockDim.x * blockDim.y) {
        int channel = i / area, y = i % area / padded - 1, x = i % padded - 1;
        bool inside = y >= 0 && y < width && x >= 0 && x < width;

        planes[i] = inside ? source[(channel * width + y) * width + x] : 0.0f;
    }
    __syncthreads();
}

/* Thread: one output pixel. Block: pixels, channels. Grid: groups of output channels, samples. */
extern "C" __global__ void conv_forward(const float *input, const float *weights, const float *bias,
                                        float *output, int in_channels, int out_channels, int width)
{
    int padded = width + 2, pixel = threadIdx.x, sample = blockIdx.y;
    int channel = blockIdx.x * blockDim.y + threadIdx.y;
    const float *corner = planes + pixel / width * padded + pixel % width;
    const float *filter = weights + channel * in_channels * FILTER * FILTER;
    float sum = bias[channel];

    load_planes(input + sample * in_channels * width * width, in_channels, width);
    for (int c = 0; c < in_channels; c++) {
#pragma unroll
        for (int i = 0; i < FILTER; i++)
#pragma unroll
            for (int j = 0; j < FILTER; j++)
                sum += filter[i * FILTER + j] * corner[i * padded + j];
        filter += FILTER * FILTER;
        corner += padded * padded;
    }
    output[(sample * out_channels + channel) * width * width + pixel] = sum;
}

/* Thread: one input pixel. Block: pixels, channels. Grid: groups of input channels, samples. */
extern "C" __global__ void conv_backward_input(const float *weights, const float *output_gradient,
                                               float *input_gradient, int in_channels,
                                               int out_channels, int width)
{
    int padded = width + 2, pixel = threadIdx.x, sample = blockIdx.y;
    int channel = blockIdx.x * blockDim.y + threadIdx.y;
    const float *corner = planes + pixel / width * padded + pixel % width;
    const float *filter = weights + channel * FILTER * FILTER;
    float sum = 0.0f;

    load_planes(output_gradient + sample * out_channels * width * width, out_channels, width);
    for (int c = 0; c < out_channels; c++) {
#pragma unroll
        for (int i = 0; i < FILTER; i++)
#pragma unroll
            for (int j = 0; j < FILTER; j++)
                sum += filter[(FILTER - 1 - i) * FILTER + FILTER - 1 - j] * corner[i * padded + j];
        filter += in_channels * FILTER * FILTER;
        corner += padded * padded;
    }
    input_gradient[(sample * in_channels + channel) * width * width + pixel] = sum;
}

/*
 * Block: the cells of one filter, LANES threads for each, which share the samples between them and
 * then add up. Grid: input channels, output channels.
 */
extern "C" __global__ void conv_backward_weights(const float *input, const float *output_gradient,
                                                 float *weights_gradient, int samples, int width)
{
    __shared__ float partial[LANES][FILTER * FILTER];
    int cell = threadIdx.x, lane = threadIdx.y, dy = cell / FILTER - 1, dx = cell % FILTER - 1;
    int in_channel = blockIdx.x, in_channels = gridDim.x;
    int out_channel = blockIdx.y, out_channels = gridDim.y;
    float sum = 0.0f;

    for (int s = lane; s < samples; s += LANES) {
        const float *in = input + (s * in_channels + in_channel) * width * width;
        const float *out = output_gradient + (s * out_channels + out_channel) * width * width;

        for (int y = max(0, -dy); y < min(width, width - dy); y++)
#pragma unroll 4
            for (int x = max(0, -dx); x < min(width, width - dx); x++)
                sum += out[y * width + x] * in[(y + dy) * width + x + dx];
    }
    partial[lane][cell] = sum;
    for (int step = LANES / 2; step > 0; step /= 2) {
        __syncthreads();
        if (lane < step)
            partial[lane][cell] += partial[lane + step][cell];
    }
    if (lane == 0)
        weights_gradient[(out_channel * in_channels + in_channel) * FILTER * FILTER + cell] =
            partial[0][cell];
}

/* Bias of convolution and dense alike; dense has one pixel. Block: a warp. Grid: channels. */
extern "C" __global__ void bias_backward(const float *output_gradient, float *bias_gradient,
                                         int samples, int pixels)
{
    int channel = blockIdx.x, channels = gridDim.x;
    float sum = 0.0f;

    for (int i = threadIdx.x; i < samples * pixels; i += 32)
        sum += output_gradient[(i / pixels * channels + channel) * pixels + i % pixels];
    sum = warp_sum(sum);
    if (threadIdx.x == 0)
        bias_gradient[channel] = sum;
}

/* ---- Dense: every output sees every input ---- */

/* A matrix in memory: how far apart its rows are, and its columns; 1 and n transpose it. */
struct matrix {
    const float *values;
    int row, column;
};

/*
 * product = a * b, and the bias of each column where there is one. Block: TILE by TILE threads, one
 * value each. Grid: tiles across, tiles down.
 */
extern "C" __global__ void multiply(matrix a, matrix b, const float *bias, float *product, int rows,
                                    int columns, int inner)
{
    __shared__ float tile_a[TILE][TILE], tile_b[TILE][TILE + 1];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = bias && column < columns ? bias[column] : 0.0f;

    for (int first = 0; first < inner; first += TILE) {
        tile_a[y][x] =
            row < rows && first + x < inner ? a.values[row * a.row + (first + x) * a.column] : 0.0f;
        tile_b[y][x] = column < columns && first + y < inner
                           ? b.values[(first + y) * b.row + column * b.column]
                           : 0.0f;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; i++)
            sum += tile_a[y][i] * tile_b[i][x];
        __syncthreads();
    }
    if (row < rows && column < columns)
        product[row * columns + column] = sum;
}

/* ---- ReLU. Thread: one value ---- */

extern "C" __global__ void relu_forward(const float *input, float *output, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        output[i] = fmaxf(input[i], 0.0f);
}

extern "C" __global__ void relu_backward(const float *output, const float *output_gradient,
                                         float *input_gradient, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        input_gradient[i] = output[i] > 0.0f ? output_gradient[i] : 0.0f;
}

/* ---- Max pooling of 2x2 windows. Thread: one output pixel ---- */

__device__ static int window_of(int output, int width)
{
    int plane = output / (width * width), y = output / width % width, x = output % width;

    return (plane * 2 * width + 2 * y) * 2 * width + 2 * x;
}

/* Remembers which of its four inputs each output took. */
extern "C" __global__ void pool_forward(const float *input, float *output, unsigned char *winners,
                                        int width, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= count)
        return;
    const float *window = input + window_of(i, width);
    float best = window[0];
    int winner = 0;

    for (int k = 1; k < 4; k++) {
        float value = window[k / 2 * 2 * width + k % 2];

        if (value > best) {
            best = value;
            winner = k;
        }
    }
    output[i] = best;
    winners[i] = (unsigned char)winner;
}

/* The winner gets the output's gradient. */
extern "C" __global__ void pool_backward(const unsigned char *winners, const float *output_gradient,
                                         float *input_gradient, int width, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= count)
        return;
    float *window = input_gradient + window_of(i, width);

    for (int k = 0; k < 4; k++)
        window[k / 2 * 2 * width + k % 2] = k == winners[i] ? output_gradient[i] : 0.0f;
}

/* ---- Softmax, cross-entropy and the outcome of a batch ---- */

/*
 * Block: a warp, a class for each lane. Grid: samples. Gives the gradient of the mean loss, too.
 * outcomes has two rows of a value for each sample: the loss, and 1 for a hit, where the likeliest
 * class is the label, else 0.
 */
extern "C" __global__ void softmax(const float *logits, const int *labels, float *gradient,
                                   float *outcomes, int classes)
{
    int sample = blockIdx.x, samples = gridDim.x, lane = threadIdx.x, label = labels[sample];
    float z = lane < classes ? logits[sample * classes + lane] : -INFINITY;
    float largest = warp_largest(z);
    float e = lane < classes ? expf(z - largest) : 0.0f;
    float sum = warp_sum(e);
    int likeliest = __ffs((int)__ballot_sync(whole_warp, z == largest)) - 1;

    if (lane < classes)
        gradient[sample * classes + lane] = (e / sum - (lane == label ? 1.0f : 0.0f)) / samples;
    if (lane == label) {
        outcomes[sample] = logf(sum) - (z - largest);
        outcomes[samples + sample] = likeliest == label ? 1.0f : 0.0f;
    }
}

/* Sums the two rows of outcomes. Block: a warp. Grid: rows. */
extern "C" __global__ void sum_outcomes(const float *outcomes, float *totals, int samples)
{
    float sum = 0.0f;

    for (int s = threadIdx.x; s < samples; s += 32)
        sum += outcomes[blockIdx.x * samples + s];
    sum = warp_sum(sum);
    if (threadIdx.x == 0)
        totals[blockIdx.x] = sum;
}

/* ---- Stochastic gradient descent with momentum and weight decay. Thread: one parameter ---- */

extern "C" __global__ void sgd_update(float *values, const float *gradient, float *velocity,
                                      float rate, float momentum, float decay, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= count)
        return;
    float v = momentum * velocity[i] - rate * (gradient[i] + decay * values[i]);

    velocity[i] = v;
    values[i] += v;
}
