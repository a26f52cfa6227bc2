/* Prints the tokens of texts from standard input, each ended by a zero byte, a line a text: what `encode` alone does. */
#define main program
#include MODEL_C
#undef main

int main(int argc, char **argv) {
    if (argc != 2) refuse("usage: harness parameters.bin");
    Model model = {0}, *m = &model;
    open_parameters(m, argv[1]);
    char *text = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getdelim(&text, &room, 0, stdin)) > 0;) {
        int32_t *tokens = calloc((size_t)n + 1, sizeof *tokens);
        const int n_tokens = encode(m, text, tokens);
        for (int i = 0; i < n_tokens; i++) printf("%d ", tokens[i]);
        putchar('\n');
        free(tokens);
    }
    free(text);
    close_model(m);
    return 0;
}
