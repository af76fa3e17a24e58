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
import java.util.concurrent.TimeUnit

private const val TIMEOUT_NANOSECONDS = 30_000_000_000L

internal val context: Context get() = RuntimeEnvironment.getApplication()

/** Runs the main looper and waits for [condition]. Fails after half a minute. */
internal fun await(description: String, condition: () -> Boolean) {
    val end = System.nanoTime() + TIMEOUT_NANOSECONDS
    while (!condition()) {
        check(System.nanoTime() < end) { "timeout: $description" }
        TimeUnit.MILLISECONDS.sleep(5)
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }
}

/** All visible texts, including buttons. */
internal fun Activity.texts(): List<String> = visibleViews().filterIsInstance<TextView>().map { "${it.text}" }

internal fun Activity.shows(part: String): Boolean = texts().any { part in it }

internal fun Activity.press(label: String) {
    val button = visibleViews().filterIsInstance<TextView>().single { "${it.text}" == label }
    check(button.performClick()) { "$label has no click listener" }
}

internal inline fun <reified T : View> Activity.findView(): T = visibleViews().filterIsInstance<T>().single()

private fun Activity.visibleViews(): List<View> = visibleViews(window.decorView)

private fun visibleViews(view: View): List<View> = when {
    view.visibility != View.VISIBLE -> emptyList()
    view is ViewGroup -> listOf(view) + (0 until view.childCount).flatMap { visibleViews(view.getChildAt(it)) }
    else -> listOf(view)
}

/** Copies an artifact to the folder that `adb push` uses. */
internal fun push(model: File) {
    assumeTrue("$model is missing; `make android` exports it", model.exists())
    for (file in listOf(model, File("$model.json"))) {
        file.copyRecursively(File(context.modelFolders().first(), file.name))
    }
}

/** Copies an artifact that claims to be compiled for the Snapdragon 8 Gen 3; its contents are no model. */
internal fun pushCompiled(name: String) {
    val model = File(context.modelFolders().first(), name)
    goldenFile("stub.onnx").copyTo(model)
    val chips = "\"chips\": [{\"soc\": \"sm8650\", \"name\": \"Snapdragon 8 Gen 3\"}]"
    val manifest = goldenFile("stub.onnx.json").readText()
    File("$model.json").writeText(manifest.replace("\"target\": \"onnx\"", "\"target\": \"qnn\", $chips"))
}

internal val demoModel: File get() = File(System.getProperty("lvt.artifact"))

/** The same model in parts: a folder. */
internal val demoParts: File get() = File(System.getProperty("lvt.parts"))

internal fun goldenFile(name: String): File = File(System.getProperty("lvt.golden"), name)
