package dev.headrace.bench;

import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

/** The words after the jar: {@code --name value}, or {@code --name} alone, which is then set and has no value. */
final class Options implements Serializable {
    private static final long serialVersionUID = 1;

    private final Map<String, String> values = new HashMap<>();

    Options(String[] words) {
        String name = null;
        for (String word : words) {
            if (word.startsWith("--")) {
                name = word.substring(2);
                values.put(name, "");
            } else if (name != null) {
                values.put(name, word);
                name = null;
            } else {
                throw new IllegalArgumentException("a value that belongs to no option: " + word);
            }
        }
    }

    boolean isSet(String name) {
        return values.containsKey(name);
    }

    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    long number(String name, long otherwise) {
        return isSet(name) ? Long.parseLong(values.get(name)) : otherwise;
    }
}
