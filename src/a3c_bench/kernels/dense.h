// Fully connected networks: shared hidden layers, a head for the policy's outputs and a critic.

#pragma once
#include "products.h"

enum activation { TANH, RELU };

// Where a layer's weights (inputs, outputs) and bias (outputs,) lie in the flat vector of parameters.
struct layer {
    int64_t inputs, outputs, weight, bias;
};

// The last `free_outputs` outputs of the actor do not depend on the observation: their weights are 0 and stay so.
struct dense {
    int64_t inputs, activation, normalised, detached, bounded, free_outputs, hidden_layers;
    struct layer actor, critic, critic_hidden;  // without a hidden layer of the critic's own its sizes are 0
    const struct layer *hidden;
};

// What a forward pass reads and leaves, each with one row per observation.
struct batch {
    const float *observations;
    float *normalised, *const *hidden, *critic_hidden, *outputs, *values;
    float *room;  // for a copy of any layer's weights
};

// Observations shorter than this are not scaled up to length 1, as in torch's `normalize`.
static const float SHORTEST = 1e-12f;

// Lengths are summed in sixteenths.
static void normalise(int64_t rows, int64_t inputs, const float *from, float *to) {
    for (int64_t row = 0; row < rows; row++, from += inputs, to += inputs) {
        float length = __builtin_sqrtf(sum_in_sixteenths(inputs, from, from));
        for (int64_t k = 0; k < inputs; k++) to[k] = from[k] / (length > SHORTEST ? length : SHORTEST);
    }
}

static void activate(enum activation activation, int64_t count, float *numbers) {
    if (activation == TANH)
        for (int64_t k = 0; k < count; k++) numbers[k] = tanh_of(numbers[k]);
    else
        for (int64_t k = 0; k < count; k++) numbers[k] = numbers[k] < 0 ? 0 : numbers[k];
}

// A gradient by an activation's results becomes one by its arguments.
static void carry_back(enum activation activation, int64_t count, const float *results, float *gradient) {
    if (activation == TANH)
        for (int64_t k = 0; k < count; k++) gradient[k] *= fused(-results[k], results[k], 1);
    else
        for (int64_t k = 0; k < count; k++) gradient[k] = results[k] > 0 ? gradient[k] : 0;
}

static void layer_forward(
    const struct layer *layer, const float *parameters, int64_t rows, const float *inputs, float *outputs, float *room
) {
    const float *weight = parameters + layer->weight, *bias = parameters + layer->bias;
    product(rows, layer->inputs, layer->outputs, inputs, weight, bias, outputs, room);
}

static void layer_gradient(
    const struct layer *layer, int64_t rows, const float *inputs, const float *by_outputs, float *gradient, float *room
) {
    gradient_of_weights(
        rows, layer->inputs, layer->outputs, inputs, by_outputs, gradient + layer->weight, room
    );
    sum_of_rows(rows, layer->outputs, by_outputs, gradient + layer->bias);
}

// by_inputs (rows, inputs) = by_outputs · weightsᵀ.
static void layer_backward(
    const struct layer *layer, const float *parameters, int64_t rows, const float *by_outputs, float *by_inputs,
    float *room
) {
    float *transposed = room, *more_room = room + layer->inputs * layer->outputs;
    transpose(layer->inputs, layer->outputs, parameters + layer->weight, transposed);
    product(rows, layer->outputs, layer->inputs, by_outputs, transposed, 0, by_inputs, more_room);
}

// Fill outputs, and values if they are asked for, of the rows from `start` to `stop`.
void dense_forward(
    const struct dense *network, const float *parameters, const struct batch *batch, int64_t start, int64_t stop,
    int64_t with_values
) {
    int64_t rows = stop - start;
    const float *features = batch->observations + start * network->inputs;
    if (network->normalised) {
        float *normalised = batch->normalised + start * network->inputs;
        normalise(rows, network->inputs, features, normalised);
        features = normalised;
    }
    for (int64_t index = 0; index < network->hidden_layers; index++) {
        const struct layer *layer = &network->hidden[index];
        float *activations = batch->hidden[index] + start * layer->outputs;
        layer_forward(layer, parameters, rows, features, activations, batch->room);
        activate(network->activation, rows * layer->outputs, activations);
        features = activations;
    }
    const struct layer *actor = &network->actor;
    layer_forward(actor, parameters, rows, features, batch->outputs + start * actor->outputs, batch->room);
    if (!with_values) return;
    if (network->critic_hidden.outputs) {
        float *activations = batch->critic_hidden + start * network->critic_hidden.outputs;
        layer_forward(&network->critic_hidden, parameters, rows, features, activations, batch->room);
        activate(network->activation, rows * network->critic_hidden.outputs, activations);
        features = activations;
    }
    layer_forward(&network->critic, parameters, rows, features, batch->values + start, batch->room);
    if (network->bounded) activate(TANH, rows, batch->values + start);
}

// No gradient by the weights of the actor's free outputs.
static void keep_free(const struct dense *network, float *by_weights) {
    const struct layer *actor = &network->actor;
    for (int64_t input = 0; input < actor->inputs; input++)
        for (int64_t output = actor->outputs - network->free_outputs; output < actor->outputs; output++)
            by_weights[input * actor->outputs + output] = 0;
}

static int64_t widest(const struct dense *network) {
    int64_t wide = network->critic_hidden.outputs;
    for (int64_t index = 0; index < network->hidden_layers; index++)
        wide = network->hidden[index].outputs > wide ? network->hidden[index].outputs : wide;
    return wide;
}

// Room that the next function needs for `rows` rows: gradients by the features (`wide` numbers a row) twice, by the
// values once, and copies of weights.
int64_t dense_room(const struct dense *network, int64_t rows) {
    int64_t wide = widest(network), weights = network->actor.inputs * network->actor.outputs;
    for (int64_t index = 0; index < network->hidden_layers; index++) {
        const struct layer *layer = &network->hidden[index];
        weights = layer->inputs * layer->outputs > weights ? layer->inputs * layer->outputs : weights;
    }
    int64_t own = network->critic_hidden.inputs * network->critic_hidden.outputs;
    weights = own > weights ? own : weights;
    return rows * (2 * wide + 1) + 2 * weights;
}

// Write into `gradient` that of a loss, given its gradients by the outputs (rows, outputs) and the values (rows,).
// `batch` is what `dense_forward` left.
void dense_backward(
    const struct dense *network, const float *parameters, const struct batch *batch, int64_t start, int64_t stop,
    const float *by_outputs, const float *by_values, float *gradient, float *room
) {
    const struct layer *last = &network->hidden[network->hidden_layers - 1], *own = &network->critic_hidden;
    int64_t rows = stop - start, wide = widest(network);
    float *by_features = room, *other = room + rows * wide, *by_value = other + rows * wide, *copies = by_value + rows;
    const float *features = batch->hidden[network->hidden_layers - 1] + start * last->outputs;
    const float *values = batch->values + start;

    for (int64_t row = 0; row < rows; row++) by_value[row] = by_values[row];
    if (network->bounded) carry_back(TANH, rows, values, by_value);
    const struct layer *reads_features = &network->critic;
    const float *by_its_outputs = by_value;
    if (own->outputs) {
        const float *activations = batch->critic_hidden + start * own->outputs;
        layer_gradient(&network->critic, rows, activations, by_value, gradient, copies);
        layer_backward(&network->critic, parameters, rows, by_value, other, copies);
        carry_back(network->activation, rows * own->outputs, activations, other);
        reads_features = own, by_its_outputs = other;
    }
    layer_gradient(reads_features, rows, features, by_its_outputs, gradient, copies);
    layer_gradient(&network->actor, rows, features, by_outputs, gradient, copies);
    keep_free(network, gradient + network->actor.weight);
    if (network->detached)
        layer_backward(&network->actor, parameters, rows, by_outputs, by_features, copies);
    else {
        // The critic's first, since it may lie in `other`, where the actor's is then put.
        layer_backward(reads_features, parameters, rows, by_its_outputs, by_features, copies);
        layer_backward(&network->actor, parameters, rows, by_outputs, other, copies);
        for (int64_t k = 0; k < rows * last->outputs; k++) by_features[k] += other[k];
    }

    for (int64_t index = network->hidden_layers - 1; index >= 0; index--) {
        const struct layer *layer = &network->hidden[index];
        carry_back(
            network->activation, rows * layer->outputs, batch->hidden[index] + start * layer->outputs, by_features
        );
        const float *inputs = index ? batch->hidden[index - 1]
            : network->normalised   ? batch->normalised
                                    : batch->observations;
        layer_gradient(layer, rows, inputs + start * layer->inputs, by_features, gradient, copies);
        if (!index) return;
        layer_backward(layer, parameters, rows, by_features, other, copies);
        float *swapped = by_features;
        by_features = other, other = swapped;
    }
}
