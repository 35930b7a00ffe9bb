// Debian's libedit. Its settings are variadic functions, which Swift cannot call, so each one that
// is used has a plain function here.
#ifndef TIDEWHEEL_EDITLINE_H
#define TIDEWHEEL_EDITLINE_H

#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <wchar.h>

static inline EditLine *tw_editor_create(
    void *client, char *(*prompt)(EditLine *), int (*read_character)(EditLine *, wchar_t *),
    unsigned char (*complete)(EditLine *, int), History *list) {
    // Without it nothing but ASCII could be typed; messages stay as they are.
    if (!setlocale(LC_CTYPE, "")) setlocale(LC_CTYPE, "C.UTF-8");
    EditLine *editor = el_init("tidewheel", stdin, stdout, stderr);
    if (!editor) return NULL;
    el_set(editor, EL_CLIENTDATA, client);
    el_set(editor, EL_PROMPT, prompt);
    el_set(editor, EL_SIGNAL, 0);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, list);
    el_set(editor, EL_ADDFN, "complete", "Complete the word", complete);
    el_set(editor, EL_BIND, "^I", "complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(editor, EL_GETCFN, read_character);
    return editor;
}

static inline void *tw_editor_client(EditLine *editor) {
    void *client = NULL;
    el_get(editor, EL_CLIENTDATA, &client);
    return client;
}

static inline void tw_editor_refresh(EditLine *editor) { el_set(editor, EL_REFRESH); }

static inline History *tw_history_create(const char *file) {
    History *list = history_init();
    HistEvent event;
    if (!list) return NULL;
    history(list, &event, H_SETSIZE, 1000);
    history(list, &event, H_SETUNIQUE, 1);
    history(list, &event, H_LOAD, file);
    return list;
}

static inline void tw_history_add(History *list, const char *line) {
    HistEvent event;
    history(list, &event, H_ENTER, line);
}

static inline void tw_history_save(History *list, const char *file) {
    HistEvent event;
    history(list, &event, H_SAVE, file);
}

#endif
