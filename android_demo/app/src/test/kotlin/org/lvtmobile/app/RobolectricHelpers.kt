package org.lvtmobile.app

import android.app.Activity
import android.content.Context
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.junit.Assume.assumeTrue
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import java.io.File
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit

private const val POLL_MILLISECONDS = 5L

/** One minute, if nothing else keeps the machine busy. Counted in polls, because a paused process must not fail. */
private const val MAX_POLLS = 12_000

internal val context: Context get() = RuntimeEnvironment.getApplication()

internal val fakeApplication: FakeApplication get() = context as FakeApplication

/** Runs the main looper and waits for [condition]. Fails after about one minute. */
internal fun await(description: String, condition: () -> Boolean) {
    repeat(MAX_POLLS) {
        if (condition()) return
        TimeUnit.MILLISECONDS.sleep(POLL_MILLISECONDS)
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }
    error("timeout: $description")
}

/** Waits until no model runs: a camera frame that comes earlier is dropped. */
internal fun awaitIdleInference() = await("idle inference") {
    Thread.getAllStackTraces().keys.filter { it.name == "inference" }.all { it.state == Thread.State.WAITING }
}

/** Runs what must not run on the main thread, and waits for it. */
internal fun <T> besideMain(action: () -> T): T {
    val task = FutureTask { runCatching(action) }
    Thread(task).start()
    return task.get(60, TimeUnit.SECONDS).getOrThrow()
}

/** All visible texts, including buttons. */
internal fun Activity.texts(): List<String> = visibleViews().filterIsInstance<TextView>().map { "${it.text}" }

internal fun Activity.shows(part: String): Boolean = texts().any { part in it }

/** Presses the visible button with this text or description. */
internal fun Activity.press(label: String) {
    val button = visibleViews().single {
        it.hasOnClickListeners() && ("${it.contentDescription}" == label || (it as? TextView)?.text?.toString()?.substringBefore('\n') == label)
    }
    check(button.isEnabled && button.performClick()) { "$label cannot be pressed" }
}

internal inline fun <reified T : View> Activity.findView(): T = visibleViews().filterIsInstance<T>().single()

internal fun Activity.visibleViews(): List<View> = visibleViews(window.decorView)

private fun visibleViews(view: View): List<View> = when {
    view.visibility != View.VISIBLE -> emptyList()
    view is ViewGroup -> listOf(view) + (0 until view.childCount).flatMap { visibleViews(view.getChildAt(it)) }
    else -> listOf(view)
}

/** The folder that `adb push` uses. */
internal fun pushFolder(): File = besideMain { context.modelFolders().first() }

/** Copies an artifact to the folder that `adb push` uses. */
internal fun push(model: File, name: String = model.name) {
    assumeTrue("$model is missing; `make android` exports it", model.exists())
    model.copyRecursively(File(pushFolder(), name))
    File("$model.json").copyTo(File(pushFolder(), "$name.json"))
}

/** Copies an artifact that claims to be compiled for the Snapdragon 8 Gen 3; its contents are no model. */
internal fun pushCompiled(name: String) {
    val model = File(pushFolder(), name)
    goldenFile("stub.onnx").copyTo(model)
    val chips = "\"chips\": [{\"soc\": \"sm8650\", \"name\": \"Snapdragon 8 Gen 3\"}]"
    val manifest = goldenFile("stub.onnx.json").readText()
    File("$model.json").writeText(manifest.replace("\"target\": \"onnx\"", "\"target\": \"qnn\", $chips"))
}

internal val demoModel: File get() = File(System.getProperty("lvt.artifact"))

/** The same model in parts: a folder. */
internal val demoParts: File get() = File(System.getProperty("lvt.parts"))

internal fun goldenFile(name: String): File = File(System.getProperty("lvt.golden"), name)
