/* The least program that generates with llama.cpp: load a GGUF file, start from token 1, take the likeliest token N
 * times, print the ids. What it costs from start to end is what a command-line user of the library pays at least.
 *
 *     first_tokens FILE N THREADS
 */
#include <stdio.h>
#include <stdlib.h>

#include "llama.h"

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)level, (void)text, (void)data;
}

static llama_token likeliest(const float *logits, int count) {
    int best = 0;
    for (int id = 1; id < count; id++) {
        if (logits[id] > logits[best]) best = id;
    }
    return best;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: first_tokens FILE N THREADS\n");
        return 2;
    }
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(arguments[1], llama_model_default_params());
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = 512;
    params.n_threads = params.n_threads_batch = atoi(arguments[3]);
    struct llama_context *context = model ? llama_init_from_model(model, params) : NULL;
    if (!context) {
        fprintf(stderr, "first_tokens: cannot load %s\n", arguments[1]);
        return 1;
    }
    int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_token token = 1;
    for (int left = atoi(arguments[2]); left > 0; left--) {
        if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) return 1;
        token = likeliest(llama_get_logits_ith(context, -1), vocabulary);
        printf("%d\n", token);
    }
    return 0;
}
