/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every computation of the network, in OpenCL C 1.2. Launched by layer.c and net.c. Tensors are
 * dense, in the order sample, channel, row, column. FILTER, the odd side of a convolution's filter,
 * is defined by the build options.
 *
 * No kernel may use atomics on floats or any other sum whose order is left to the scheduler: each
 * value is summed by one work-item or by a fixed tree, so two runs on one device agree to the last
 * bit.
 */

/* ---- Convolution: stride 1, zero padding, output as large as the input ---- */

/* Work-item: one output pixel. Grid: pixels, output channels, samples. */
__kernel void conv_forward(__global const float *input, __global const float *weights,
                           __global const float *bias, __global float *output, int in_channels,
                           int width)
{
    int pixel = get_global_id(0);
    int channel = get_global_id(1);
    int sample = get_global_id(2);
    int out_channels = get_global_size(1);
    int row = pixel / width;
    int column = pixel - row * width;
    float sum = bias[channel];

    for (int c = 0; c < in_channels; c++) {
        __global const float *plane = input + (sample * in_channels + c) * width * width;
        __global const float *filter = weights + (channel * in_channels + c) * FILTER * FILTER;

        for (int i = 0; i < FILTER; i++) {
            for (int j = 0; j < FILTER; j++) {
                int y = row + i - FILTER / 2;
                int x = column + j - FILTER / 2;

                if (y >= 0 && y < width && x >= 0 && x < width)
                    sum += filter[i * FILTER + j] * plane[y * width + x];
            }
        }
    }
    output[(sample * out_channels + channel) * width * width + pixel] = sum;
}

/* Work-item: one weight. Grid: filter cells, input channels, output channels. */
__kernel void conv_backward_weights(__global const float *input,
                                    __global const float *output_gradient,
                                    __global float *weights_gradient, int samples, int width)
{
    int cell = get_global_id(0);
    int in_channel = get_global_id(1);
    int out_channel = get_global_id(2);
    int in_channels = get_global_size(1);
    int out_channels = get_global_size(2);
    int filter_row = cell / FILTER;
    int dy = filter_row - FILTER / 2;
    int dx = cell - filter_row * FILTER - FILTER / 2;
    float sum = 0.0f;

    for (int s = 0; s < samples; s++) {
        __global const float *in = input + (s * in_channels + in_channel) * width * width;
        __global const float *out =
            output_gradient + (s * out_channels + out_channel) * width * width;

        for (int y = max(0, -dy); y < min(width, width - dy); y++)
            for (int x = max(0, -dx); x < min(width, width - dx); x++)
                sum += out[y * width + x] * in[(y + dy) * width + x + dx];
    }
    weights_gradient[(out_channel * in_channels + in_channel) * FILTER * FILTER + cell] = sum;
}

/* Work-item: one input pixel. Grid: pixels, input channels, samples. */
__kernel void conv_backward_input(__global const float *weights,
                                  __global const float *output_gradient,
                                  __global float *input_gradient, int out_channels, int width)
{
    int pixel = get_global_id(0);
    int channel = get_global_id(1);
    int sample = get_global_id(2);
    int in_channels = get_global_size(1);
    int row = pixel / width;
    int column = pixel - row * width;
    float sum = 0.0f;

    for (int c = 0; c < out_channels; c++) {
        __global const float *plane = output_gradient + (sample * out_channels + c) * width * width;
        __global const float *filter = weights + (c * in_channels + channel) * FILTER * FILTER;

        for (int i = 0; i < FILTER; i++) {
            for (int j = 0; j < FILTER; j++) {
                int y = row - i + FILTER / 2;
                int x = column - j + FILTER / 2;

                if (y >= 0 && y < width && x >= 0 && x < width)
                    sum += filter[i * FILTER + j] * plane[y * width + x];
            }
        }
    }
    input_gradient[(sample * in_channels + channel) * width * width + pixel] = sum;
}

/* ---- Dense: every output sees every input ---- */

/* Work-item: one output. Grid: outputs, samples. */
__kernel void dense_forward(__global const float *input, __global const float *weights,
                            __global const float *bias, __global float *output, int inputs)
{
    int out = get_global_id(0);
    int sample = get_global_id(1);
    int outputs = get_global_size(0);
    float sum = bias[out];

    for (int i = 0; i < inputs; i++)
        sum += weights[out * inputs + i] * input[sample * inputs + i];
    output[sample * outputs + out] = sum;
}

/* Work-item: one weight. Grid: inputs, outputs. */
__kernel void dense_backward_weights(__global const float *input,
                                     __global const float *output_gradient,
                                     __global float *weights_gradient, int samples)
{
    int in = get_global_id(0);
    int out = get_global_id(1);
    int inputs = get_global_size(0);
    int outputs = get_global_size(1);
    float sum = 0.0f;

    for (int s = 0; s < samples; s++)
        sum += output_gradient[s * outputs + out] * input[s * inputs + in];
    weights_gradient[out * inputs + in] = sum;
}

/* Work-item: one input. Grid: inputs, samples. */
__kernel void dense_backward_input(__global const float *weights,
                                   __global const float *output_gradient,
                                   __global float *input_gradient, int outputs)
{
    int in = get_global_id(0);
    int sample = get_global_id(1);
    int inputs = get_global_size(0);
    float sum = 0.0f;

    for (int o = 0; o < outputs; o++)
        sum += weights[o * inputs + in] * output_gradient[sample * outputs + o];
    input_gradient[sample * inputs + in] = sum;
}

/* Bias of convolution and dense alike; dense has one pixel. Work-item: one channel. */
__kernel void bias_backward(__global const float *output_gradient, __global float *bias_gradient,
                            int samples, int pixels)
{
    int channel = get_global_id(0);
    int channels = get_global_size(0);
    float sum = 0.0f;

    for (int s = 0; s < samples; s++)
        for (int p = 0; p < pixels; p++)
            sum += output_gradient[(s * channels + channel) * pixels + p];
    bias_gradient[channel] = sum;
}

/* ---- ReLU. Work-item: one value ---- */

__kernel void relu_forward(__global const float *input, __global float *output)
{
    int i = get_global_id(0);

    output[i] = fmax(input[i], 0.0f);
}

__kernel void relu_backward(__global const float *output, __global const float *output_gradient,
                            __global float *input_gradient)
{
    int i = get_global_id(0);

    input_gradient[i] = output[i] > 0.0f ? output_gradient[i] : 0.0f;
}

/* ---- Max pooling of 2x2 windows ---- */

/* Work-item: one output pixel, and which of its four inputs it took. Grid: column, row, plane. */
__kernel void pool_forward(__global const float *input, __global float *output,
                           __global uchar *winners)
{
    int column = get_global_id(0);
    int row = get_global_id(1);
    int plane = get_global_id(2);
    int width = get_global_size(0);
    int out = (plane * width + row) * width + column;
    __global const float *window = input + (plane * 2 * width + 2 * row) * 2 * width + 2 * column;
    float best = window[0];
    uchar winner = 0;

    for (int i = 1; i < 4; i++) {
        float value = window[i / 2 * 2 * width + i % 2];

        if (value > best) {
            best = value;
            winner = i;
        }
    }
    output[out] = best;
    winners[out] = winner;
}

/* Work-item: one output pixel, whose gradient its winner gets. Grid: column, row, plane. */
__kernel void pool_backward(__global const uchar *winners, __global const float *output_gradient,
                            __global float *input_gradient)
{
    int column = get_global_id(0);
    int row = get_global_id(1);
    int plane = get_global_id(2);
    int width = get_global_size(0);
    int out = (plane * width + row) * width + column;
    __global float *window =
        input_gradient + (plane * 2 * width + 2 * row) * 2 * width + 2 * column;

    for (int i = 0; i < 4; i++)
        window[i / 2 * 2 * width + i % 2] = i == winners[out] ? output_gradient[out] : 0.0f;
}

/* ---- Softmax, cross-entropy and the outcome of a batch ---- */

/*
 * Work-item: one sample. outcomes has two rows of a value for each sample: the loss, and 1 for a
 * hit, where the likeliest class is the label, else 0.
 */
__kernel void softmax_forward(__global const float *logits, __global const int *labels,
                              __global float *probabilities, __global float *outcomes, int classes)
{
    int sample = get_global_id(0);
    int samples = get_global_size(0);
    int label = labels[sample];
    __global const float *z = logits + sample * classes;
    __global float *p = probabilities + sample * classes;
    int likeliest = 0;
    float sum = 0.0f;

    for (int c = 1; c < classes; c++)
        if (z[c] > z[likeliest])
            likeliest = c;
    float largest = z[likeliest];

    for (int c = 0; c < classes; c++) {
        p[c] = exp(z[c] - largest);
        sum += p[c];
    }
    for (int c = 0; c < classes; c++)
        p[c] /= sum;
    outcomes[sample] = log(sum) - (z[label] - largest);
    outcomes[samples + sample] = likeliest == label ? 1.0f : 0.0f;
}

/* Work-item: one class of one sample. Grid: classes, samples. The gradient of the mean loss. */
__kernel void softmax_backward(__global const float *probabilities, __global const int *labels,
                               __global float *logits_gradient)
{
    int category = get_global_id(0);
    int sample = get_global_id(1);
    int i = sample * get_global_size(0) + category;
    float target = category == labels[sample] ? 1.0f : 0.0f;

    logits_gradient[i] = (probabilities[i] - target) / (float)get_global_size(1);
}

/*
 * Sums the two rows of outcomes, each by a fixed tree. One work-group, its size a power of two, for
 * each row. Grid: work-items of a group, rows.
 */
__kernel void sum_outcomes(__global const float *outcomes, __global float *totals, int samples,
                           __local float *partial)
{
    int me = get_local_id(0);
    int width = get_local_size(0);
    int row = get_global_id(1);
    float sum = 0.0f;

    for (int s = me; s < samples; s += width)
        sum += outcomes[row * samples + s];
    partial[me] = sum;

    for (int step = width / 2; step > 0; step /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (me < step)
            partial[me] += partial[me + step];
    }
    if (me == 0)
        totals[row] = partial[0];
}

/* ---- Stochastic gradient descent with momentum and weight decay ---- */

/* Work-item: one parameter. */
__kernel void sgd_update(__global float *values, __global const float *gradient,
                         __global float *velocity, float rate, float momentum, float decay)
{
    int i = get_global_id(0);
    float v = momentum * velocity[i] - rate * (gradient[i] + decay * values[i]);

    velocity[i] = v;
    values[i] += v;
}
